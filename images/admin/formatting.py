"""How values are shown to people, on every page alike."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from django.utils import timezone
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _

from images import units
from images.models import Image, Status, Transfer, TransferStatus


def status(value: str) -> str:
    """A status, within a sentence."""
    return str(Status(value).label).lower()


def badge(status: str) -> SafeString:
    """A status, in its colour."""
    label = Status(status).label if status in Status.values else status
    return format_html('<span class="badge status-{}">{}</span>', status, label)


def ago(at: datetime | None) -> SafeString | str:
    """How long ago, with the moment itself beside it for who wants to know."""
    if at is None:
        return "–"
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        f"{at:%Y-%m-%d %H:%M:%S} UTC",
        _distance(at, timezone.now()),
    )


def _distance(at: datetime, now: datetime) -> str:
    if abs((now - at).total_seconds()) < 60:
        return _("just now") if at <= now else _("any moment")
    if at < now:
        return _("%(age)s ago") % {"age": timesince(at, now, depth=1)}
    return _("in %(age)s") % {"age": timesince(now, at, depth=1)}


def duration(seconds: int) -> str:
    """In its largest unit."""
    now = timezone.now()
    return timesince(now - timedelta(seconds=seconds), now, depth=1)


def size(count: int | None) -> str:
    """Bytes."""
    return "–" if count is None else units.size(count)


def progress(transfer: Transfer) -> dict[str, Any]:
    """How far a transfer has come: also what the pages that refresh themselves ask for."""
    now = timezone.now() if transfer.ended_at is None else transfer.ended_at
    seconds = max((now - transfer.started_at).total_seconds(), 1.0)
    expected, received = transfer.bytes_expected, transfer.bytes_received
    words = units.size(received)
    if expected:
        words = _("%(part)s of %(whole)s") % {
            "part": words,
            "whole": units.size(expected),
        }
    return {
        "id": str(transfer.pk),
        "percent": min(100, 100 * received // expected) if expected else None,
        "words": words,
        "rate": f"{units.size(received / seconds)}/s",
    }


def bar(transfer: Transfer | None) -> SafeString | str:
    """A progress bar."""
    if transfer is None:
        return "–"
    found = progress(transfer)
    if transfer.status != TransferStatus.RUNNING:
        words: str = found["words"]
        return words
    percent = found["percent"]
    value = format_html(' value="{}"', percent) if percent is not None else ""
    return format_html(
        '<progress max="100"{} aria-label="{}" data-transfer="{}"></progress>'
        ' <span class="small" data-words="{}">{}</span>',
        value,
        _("progress"),
        found["id"],
        found["id"],
        found["words"],
    )


def title(image: Image) -> str:
    """What a page about the image is called."""
    return image.name or _("unnamed image")
