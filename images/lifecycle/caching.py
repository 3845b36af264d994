"""The read cache's periodic work: cache queued images, and remove the data of deleted images."""

from __future__ import annotations

from contextlib import closing

from images import cache, errors
from images.batches import batches
from images.duty import Duty
from images.lifecycle import downloading
from images.lifecycle.uploading import log
from images.models import READABLE_STATUSES, Image, Status
from images.models.rows import Row

BATCH = 500
PERIOD = 5.0  # seconds


def cache_later(image: Row) -> None:
    """Queue an image (a row) to be cached by the background worker of this machine.

    Raises Invalid if the image is not active.
    """
    if image["status"] != Status.ACTIVE:
        raise errors.Invalid(
            f"Image {image['id']} is {image['status']}: only active images can be cached."
        )
    cache.enqueue(image["id"])


def cache_queued() -> None:
    """Cache the images in this machine's queue by reading their data; do nothing without a cache.

    An image stays queued if its store fails; it leaves the queue if it is cached or has no
    data.
    """
    for image_id in cache.queued() if cache.is_on() else ():
        # Another process that is filling the cache would read all of the data a second time.
        if not cache.is_being_filled(image_id) and _is_cached(image_id):
            cache.dequeue(image_id)


def _is_cached(image_id: str) -> bool:
    """Read an image's data, which caches it; return False if this fails but can succeed later.

    Returns True also for an image that has no data, because trying again is useless.
    """
    try:
        with closing(downloading.read(image_id)) as blocks:  # type: ignore[type-var]
            # A file needs no reading: it is in the cache already, or it is local.
            for _ in () if hasattr(blocks, "send_to") else blocks:
                pass
    except errors.DataMissing as error:
        log.warning("image %s cannot be cached", image_id, exc_info=error)
    except errors.StoreError as error:
        log.warning("image %s cannot be cached yet", image_id, exc_info=error)
        return False
    return True


def tidy_cache() -> None:
    """Remove damaged data and deleted images from the read cache; evict images above its limit.

    Does nothing if this machine has no cache.
    """
    if not cache.is_on():
        return
    cache.clean()
    cache.prune()
    ids = sorted(cache.image_ids())
    for batch in batches(ids, BATCH):
        images = Image.objects.filter(pk__in=batch, status__in=READABLE_STATUSES)
        cache.remove(set(batch) - set(images.values_list("pk", flat=True)))


DUTIES = (
    Duty("cache queued images", cache_queued, PERIOD, may_block=True, when_paused=True),
    Duty("tidy the cache", tidy_cache, may_block=True, when_paused=True),
)
