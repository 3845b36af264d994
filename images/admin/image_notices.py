"""The notices at the head of an image's pages: damage, the reason for its status, and its pin."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from images import history
from images.admin import formatting, image_data
from images.models import (
    DELETED_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
)
from images.operations import overview

WITH_REASON = (Status.DEACTIVATED, *DELETED_STATUSES)


@dataclass(frozen=True)
class Notice:
    """A notice: its subject, a sentence, and details such as the reason for the image's status.

    ``tone`` is ``failed`` for an error, ``done`` for a success, else empty.
    """

    title: str
    text: Any = ""
    detail: Any = ""
    tone: str = ""


def of(image: Image, locations: Sequence[ImageLocation]) -> list[Notice]:
    """Return the notices about an image, the most urgent one first. At most one query.

    ``locations`` are those of the image.
    """
    return [*_damage(locations), *_state(image), *_pin(image)]


def _damage(locations: Sequence[ImageLocation]) -> Iterator[Notice]:
    active = [it for it in locations if it.status == LocationStatus.ACTIVE]
    damaged = [it for it in active if it.damage]
    if not damaged:
        return
    names = ", ".join(it.store for it in damaged)
    intact = [it.store for it in active if not it.damage]
    title = ngettext("Damaged copy:", "Damaged copies:", len(damaged))
    sentences = [f"{names}.", *dict.fromkeys(map(image_data.damage, damaged))]
    if intact:
        words = {"stores": ", ".join(intact)}
        sentences.append(_("Downloads use the intact copy: %(stores)s.") % words)
    else:
        sentences.append(_("No intact copy is left, so downloads fail."))
    yield Notice(title, " ".join(sentences), tone="failed")


def _state(image: Image) -> Iterator[Notice]:
    if image.status not in WITH_REASON:
        return
    scrub_at = overview.scrub_at(image)
    sentence = ""
    if scrub_at:
        sentence = _(
            "You can restore the image until %(until)s; after that it is deleted permanently."
        ) % {"until": formatting.when(scrub_at)}
    elif image.status == Status.DEACTIVATED:
        sentence = _("Only administrators can download the image.")
    event = history.last_change_of_status(image.pk)
    detail = []
    if event and event["to_status"] == image.status:
        by = _("by %(actor)s") % {"actor": event["actor"]} if event["actor"] else ""
        reason = event["reason"] and _("Reason: %(reason)s") % {
            "reason": event["reason"]
        }
        detail = [reason, formatting.ago(event["at"]), by]
    title = (
        _("In the trash.") if scrub_at else f"{formatting.status_name(image.status)}."
    )
    yield Notice(title, sentence, [it for it in detail if it])


def _pin(image: Image) -> Iterator[Notice]:
    if image.pinned:
        yield Notice(
            _("Locked to its checksum:"),
            _("only the original data can be uploaded again."),
        )
