"""Sentences on what an action will do to the selected images, with their number and size."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

from django.conf import settings
from django.db.models import Count, QuerySet, Sum
from django.utils.translation import ngettext

from images.admin import formatting
from images.admin.actions import Action
from images.admin.consequences import restorable_until
from images.bulk.trash_room import Overflow
from images.models import READABLE_STATUSES, Image, Transfer


class Total(NamedTuple):
    """A number of images and the sum of their sizes in bytes."""

    images: int
    size: int

    @property
    def words(self) -> dict[str, str]:
        """The number of the images and their size, as texts for use in a sentence."""
        return {"count": f"{self.images:,}", "size": formatting.amount(self.size)}


def before(action: Action, images: QuerySet[Image], no_room: Overflow) -> str:
    """Return sentences, one per line, on what an action will do to those images that it changes.

    ``images`` are those for which it is possible; a deletion refuses the images ``no_room``.
    """
    total = _total(images)
    if not total.images:
        return ""
    sentences = _BEFORE | {"delete": partial(_delete, no_room=no_room)}
    return "\n".join(sentences[action.verb](images, total))


def deleted_size(action: Action, images: QuerySet[Image]) -> int:
    """Return how many bytes of data the action would delete permanently; 0 if it deletes none."""
    at_once = action.verb == "delete" and not settings.IMAGECATALOG_DELAYED_DELETE
    if action.verb != "scrub" and not at_once:
        return 0
    return _total(images).size


def _total(images: QuerySet[Image]) -> Total:
    total = images.aggregate(count=Count("pk"), size=Sum("size"))
    return Total(total["count"], total["size"] or 0)


def _deactivate(images: QuerySet[Image], total: Total) -> list[str]:
    sentence = ngettext(
        "Blocks downloads of %(count)s image (%(size)s) for everyone except administrators.",
        "Blocks downloads of %(count)s images (%(size)s) for everyone except administrators.",
        total.images,
    )
    return [sentence % total.words]


def _reactivate(images: QuerySet[Image], total: Total) -> list[str]:
    sentence = ngettext(
        "Allows downloads of %(count)s image (%(size)s) for every user who can see it.",
        "Allows downloads of %(count)s images (%(size)s) for every user who can see them.",
        total.images,
    )
    return [sentence % total.words]


def _cancel(images: QuerySet[Image], total: Total) -> list[str]:
    sentence = ngettext(
        "%(count)s image goes back to Queued or, after an upload through API v1, to Killed.",
        "%(count)s images go back to Queued or, after an upload through API v1, to Killed.",
        total.images,
    )
    return [*_cancelled(images), sentence % total.words]


def _restore(images: QuerySet[Image], total: Total) -> list[str]:
    sentence = ngettext(
        "Restores %(count)s image with its %(size)s, properties, tags and members.",
        "Restores %(count)s images with their %(size)s, properties, tags and members.",
        total.images,
    )
    return [sentence % total.words]


def _delete(images: QuerySet[Image], total: Total, no_room: Overflow) -> list[str]:
    if not settings.IMAGECATALOG_DELAYED_DELETE:
        return [*_scrub(images, total), *_cancelled(images)]
    with_data = _total(images.filter(status__in=READABLE_STATUSES))
    without_data = total.images - with_data.images
    with_data = Total(
        with_data.images - no_room.images.total(), with_data.size - no_room.size
    )
    sentences = []
    if with_data.images:
        sentence = ngettext(
            "Moves %(count)s image to the trash with its %(size)s. "
            "You can restore it until %(until)s.",
            "Moves %(count)s images to the trash with their %(size)s. "
            "You can restore them until %(until)s.",
            with_data.images,
        )
        words = with_data.words | {"until": restorable_until()}
        sentences.append(sentence % words)
    if without_data:
        sentence = ngettext(
            "Deletes %(count)s image permanently; there is no data to keep.",
            "Deletes %(count)s images permanently; there is no data to keep.",
            without_data,
        )
        sentences.append(sentence % {"count": f"{without_data:,}"})
    return [*sentences, *_cancelled(images)]


def _scrub(images: QuerySet[Image], total: Total) -> list[str]:
    sentence = ngettext(
        "Deletes %(count)s image permanently. You cannot restore it.",
        "Deletes %(count)s images permanently. You cannot restore them.",
        total.images,
    )
    return [sentence % total.words]


def _cancelled(images: QuerySet[Image]) -> list[str]:
    """Return a list with one sentence on the transfers that an action cancels.

    The list is empty if there are no such transfers.
    """
    running = Transfer.objects.owning().filter(image__in=images)
    # An import of staged data runs beside its upload; both have received the same bytes.
    received: dict[str, int] = {}
    for image_id, size in running.values_list("image", "bytes_received"):
        received[image_id] = max(size, received.get(image_id, 0))
    if not received:
        return []
    total = Total(len(received), sum(received.values()))
    if not total.size:  # no heartbeat has recorded a number yet
        sentence = ngettext(
            "Cancels %(count)s transfer and discards the data received so far.",
            "Cancels %(count)s transfers and discards the data received so far.",
            total.images,
        )
        return [sentence % total.words]
    sentence = ngettext(
        "Cancels %(count)s transfer and discards the %(size)s received so far.",
        "Cancels %(count)s transfers and discards the %(size)s received so far.",
        total.images,
    )
    return [sentence % total.words]


_BEFORE: dict[str, Callable[[QuerySet[Image], Total], list[str]]] = {
    "deactivate": _deactivate,
    "reactivate": _reactivate,
    "fail": _cancel,
    "restore": _restore,
    "scrub": _scrub,
}
