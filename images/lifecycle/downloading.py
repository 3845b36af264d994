"""Download of an image's data, from the first copy that can be opened."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing

from images import access, db, errors, min_rate, stores
from images.access import Caller, Target
from images.lifecycle.uploading import log
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
)
from images.transfers import concurrency

SLICE = 1 << 16  # bytes


def check_download(caller: Caller, image: Target) -> None:
    """Raise Forbidden when the image is deactivated and the caller may not download it.

    The rule ``download_image`` is checked elsewhere.
    """
    withheld = image["status"] == Status.DEACTIVATED
    if withheld and not access.may(caller, "download_deactivated", image):
        raise errors.Forbidden(
            "The requested image has been deactivated. "
            "Image data download is forbidden."
        )


def read(
    image_id: str,
    start: int = 0,
    stop: int | None = None,
    *,
    preferred: Sequence[str] = (),
) -> Iterator[bytes]:
    """Return bytes [start, stop) of an image, from the first copy that can be opened.

    ``preferred`` stores are tried first, then the others, by descending weight.

    Raises DataMissing or StoreError before the first block: DataMissing also when the status is
    neither active nor deactivated, StoreError also when too many downloads read from URLs.
    Raises them between two blocks too, StoreError also when the client reads data at a URL far
    too slowly.
    """
    last_error: errors.StoreError = errors.DataMissing("The image has no data.")
    locations = ImageLocation.objects.filter(
        image=image_id,
        image__status__in=READABLE_STATUSES,
        status=LocationStatus.ACTIVE,
    ).order_by("pk")
    copies = [(location.store, location.key) for location in locations]
    if not copies and _has_no_bytes(image_id):
        return _nothing()
    db.release_connection()
    # One limit for all URLs of the image.
    until = time.monotonic() + concurrency.WAIT_SECONDS
    for store_id, key in stores.heaviest_first(copies, preferred):
        try:
            if store_id == stores.HTTP.id:
                return _read_web(key, start, stop, until)
            return stores.get_for_location(store_id).open(key, start, stop)
        except errors.StoreError as error:
            last_error = error
        except errors.Invalid as error:  # the URL filter refuses this URL now
            last_error = errors.DataMissing(str(error))
        log.warning(
            "the copy in store %s cannot be read", store_id, exc_info=last_error
        )
    raise last_error


def _read_web(
    url: str, start: int, stop: int | None, until: float
) -> Generator[bytes, None, None]:
    blocks = _web_blocks(url, start, stop, until)
    next(blocks)  # from here on close() releases the slot, also before the first block
    return blocks


def _web_blocks(
    url: str, start: int, stop: int | None, until: float
) -> Generator[bytes, None, None]:
    with (
        concurrency.slot(concurrency.DOWNLOADS, until),
        closing(stores.HTTP.open(url, start, stop)) as blocks,
    ):
        yield b""
        # Other downloads wait for this slot, so a slow client must not hold it.
        yield from min_rate.send(_sliced(blocks), _too_slow)


def _sliced(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), SLICE):
            yield block[start : start + SLICE]


def _too_slow() -> errors.StoreError:
    return errors.StoreError(
        "The client reads data at a URL far too slowly, while other downloads wait. "
        "Download the image again over a faster connection."
    )


def _nothing() -> Iterator[bytes]:
    yield from ()


def _has_no_bytes(image_id: str) -> bool:
    # API v1 can create an active image of 0 bytes, which has no location.
    readable = Image.objects.filter(status__in=READABLE_STATUSES)
    return readable.filter(pk=image_id, size=0).exists()
