"""Formatting of values as text or HTML, the same on every page of the admin."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from unicodedata import category

from django.utils import timezone
from django.utils.dateformat import format as format_date
from django.utils.html import format_html, format_html_join
from django.utils.safestring import SafeString
from django.utils.timesince import timesince
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from images import units
from images.models import (
    Image,
    Job,
    JobStatus,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
)
from images.transfers import heartbeat


def status_name(value: str) -> str:
    """Return the name of an image status as pages show it: that of ``pending_delete`` is "In trash"."""
    if value == Status.PENDING_DELETE:
        return _("In trash")
    return str(Status(value).label) if value in Status.values else value


def status(value: str) -> str:
    """Return the name of an image status in lower case, for use within a sentence."""
    return status_name(value).lower()


def badge(status: str, *, failed: bool = False) -> SafeString:
    """Return an image status as a coloured label, in HTML.

    With ``failed`` the label says that the last transfer of the queued image has failed.
    """
    label = status_label(status, failed=failed)
    kind = "failed" if failed else status
    return format_html('<span class="badge status-{}">{}</span>', kind, label)


def status_label(status: str, *, failed: bool = False) -> str:
    """Return the text of the label for an image status, such as "Queued · failed"."""
    name = status_name(status)
    return _("%(status)s · failed") % {"status": name} if failed else name


def work_badge(work: Transfer | Job) -> SafeString:
    """Return the status of a transfer or a job as a coloured label, in HTML."""
    return format_html(
        '<span class="badge transfer-{}">{}</span>',
        work.status,
        work.get_status_display(),
    )


def ago(at: datetime | None) -> SafeString | str:
    """Return how long ago a time was, as HTML whose tooltip has the exact time; a dash for None."""
    if at is None:
        return "–"
    return _time(at, _distance(at, timezone.now()))


def exact(at: datetime | None) -> SafeString | str:
    """Return a time as HTML, in the time zone of the reader with UTC as tooltip; a dash for None."""
    if at is None:
        return "–"
    return _time(at, f"{timezone.localtime(at):%Y-%m-%d %H:%M %Z}")


def _time(at: datetime, text: str) -> SafeString:
    """Return HTML that shows ``text`` for a time; the tooltip has the exact time, also in UTC."""
    pattern = "%Y-%m-%d %H:%M:%S %Z"
    shown = dict.fromkeys(
        (f"{timezone.localtime(at):{pattern}}", f"{at.astimezone(UTC):{pattern}}")
    )
    return format_html(
        '<time datetime="{}" title="{}">{}</time>',
        at.isoformat(timespec="seconds"),
        " = ".join(shown),
        text,
    )


def _distance(at: datetime, now: datetime) -> str:
    if abs((now - at).total_seconds()) < 60:
        return _("just now") if at <= now else _("within a minute")
    if at < now:
        return _("%(age)s ago") % {"age": timesince(at, now, depth=1)}
    return _("in %(age)s") % {"age": timesince(now, at, depth=1)}


def when(at: datetime) -> str:
    """Return a time as text for use within a sentence, such as ``29 Nov 13:40 UTC``.

    The time is in the time zone of the reader.
    """
    local = timezone.localtime(at)
    year = "" if local.year == timezone.localtime().year else " Y"
    return format_date(local, f"j M{year} H:i T")


def duration(seconds: int) -> str:
    """Return a duration as text in its largest unit, such as ``2 days``."""
    now = timezone.now()
    return timesince(now - timedelta(seconds=seconds), now, depth=1)


def size(count: int | None) -> str:
    """Return a number of bytes as text with a suitable unit; a dash for None."""
    return "–" if count is None else units.size(count)


def amount(count: int) -> str:
    """Return a number of bytes as text for use within a sentence, such as ``856 MiB``."""
    return units.size(count).replace(".0 ", " ")


def images(count: int) -> str:
    """Return a number of images as text, such as ``1 image`` or ``1,200 images``."""
    return ngettext("%(count)s image", "%(count)s images", count) % {
        "count": f"{count:,}"
    }


def formats(image: Image) -> str:
    """Return the disk format and the container format of an image as text; empty without both."""
    return " / ".join(filter(None, (image.disk_format, image.container_format)))


def system(properties: Mapping[str, Any]) -> str:
    """Return the operating system that properties of an image name, such as "debian 13 x86_64".

    Empty if they name none.
    """
    names = ("os_distro", "os_version", "architecture")
    return " ".join(str(properties[name]) for name in names if properties.get(name))


def marks(image: Image) -> SafeString:
    """Return the labels of an image, such as "protected", as HTML with a blank before each."""
    labels = (
        (_("protected"), image.protected),
        (_("hidden"), image.os_hidden),
        (_("pinned"), image.pinned),
    )
    shown = ((label,) for label, is_set in labels if is_set)
    return format_html_join("", ' <span class="mark">{}</span>', shown)


def kind(transfer: Transfer) -> str:
    """Return the kind of a transfer as text, such as "Resumable upload"."""
    if transfer.kind == TransferKind.STAGE and not transfer.import_method:
        return _("Resumable upload")
    return str(TransferKind(transfer.kind).label)


def progress(transfer: Transfer) -> dict[str, Any]:
    """Return the progress of a transfer, for pages and for polling.

    ``id`` is the id of the transfer. ``percent`` is None if the size of the data is unknown;
    ``words`` has the received bytes as text, ``rate`` the average bytes per second as text; it is
    empty while no data arrives, as after an upload was paused.
    """
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
        "rate": "" if _rests(transfer) else f"{units.size(received / seconds)}/s",
    }


def _rests(transfer: Transfer) -> bool:
    """Return whether an open transfer has missed two heartbeats, or waits."""
    quiet = timezone.now() - transfer.heartbeat_at
    missed = quiet.total_seconds() > 3 * heartbeat.interval()
    return transfer.is_open and (transfer.status == TransferStatus.WAITING or missed)


def job_progress(job: Job) -> dict[str, Any]:
    """Return the progress of a job, for pages and for polling, with the keys of ``progress``."""
    done, total, unit = job.progress_done, job.progress_total, job.progress_unit
    show = units.size if unit == "bytes" else "{:,}".format
    words = show(done)
    if total is not None:
        words = _("%(part)s of %(whole)s") % {"part": words, "whole": show(total)}
    if unit and unit != "bytes":
        words = f"{words} {unit}"
    percent = min(100, 100 * done // total) if total else None
    return {"id": str(job.pk), "percent": percent, "words": words, "rate": ""}


def bar(transfer: Transfer | None) -> SafeString | str:
    """Return the progress of a transfer as HTML with a progress bar; a dash if there is no transfer.

    A transfer that is not running has no bar, only the number of received bytes.
    """
    if transfer is None:
        return "–"
    return _bar(progress(transfer), transfer.status == TransferStatus.RUNNING)


def job_bar(job: Job) -> SafeString | str:
    """Return the progress of a job as HTML, with a progress bar while the job runs."""
    return _bar(job_progress(job), job.status == JobStatus.RUNNING)


def _bar(state: dict[str, Any], is_running: bool) -> SafeString | str:
    if not is_running:
        words: str = state["words"]
        return words
    percent = state["percent"]
    value = format_html(' value="{}"', percent) if percent is not None else ""
    return format_html(
        '<progress max="100"{} aria-label="{}" data-transfer="{}"></progress>'
        ' <span class="small" data-words="{}">{}</span>',
        value,
        _("progress"),
        state["id"],
        state["id"],
        state["words"],
    )


def title(image: Image) -> str:
    """Return the name of an image as pages show it; "unnamed image" if the name is empty or blank."""
    return named(image.name)


def named(name: str | None) -> str:
    """Return a name of an image as pages show it; "unnamed image" if it is empty or blank.

    Characters that are invisible, and could so hide a part of a name or turn it around, are shown as
    their codes.
    """
    text = (name or "").strip()
    shown = "".join(f"[U+{ord(it):04X}]" if _is_hidden(it) else it for it in text)
    return shown if shown.strip(_JOINERS) else _("unnamed image")


_JOINERS = "\u200c\u200d"  # words of some languages need them
# Letters and symbols that show nothing.
_FILLERS = "\u034f\u115f\u1160\u2800\u3164\uffa0"


def _is_hidden(char: str) -> bool:
    if char.isprintable():
        return char in _FILLERS
    return category(char)[0] == "C" and char not in _JOINERS
