"""Notes on the page of an image about its last transfer: it waits for a worker, or it has failed.

A failure says what failed and why, and offers the next step first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import partial
from typing import Any, Final, NamedTuple

from django.http import HttpRequest
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors, imports, pause
from images.admin import failures, formatting, list_state
from images.admin.actions import may
from images.admin.image_notices import Notice
from images.admin.transfer_views import COPYING, IMPORTING, can_retry, needs_url
from images.models import Image, Status, Transfer, TransferKind, TransferStatus

NEW: Final = timedelta(minutes=10)  # how long a page says that a transfer has succeeded
UPLOADS = (TransferKind.UPLOAD, TransferKind.STAGE, TransferKind.IMPORT)

_SUCCESS: Final[Mapping[str, Any]] = {
    **dict.fromkeys(UPLOADS, gettext_lazy("Upload complete.")),
    TransferKind.WEB_DOWNLOAD: gettext_lazy("Import complete."),
    TransferKind.IMAGE_COPY: gettext_lazy("Copy complete."),
}


class Step(NamedTuple):
    """A step that helps after a failure: a link, or a button that sends a POST request."""

    label: str
    url: str
    is_post: bool = False


def waiting(request: HttpRequest, newest: Sequence[Transfer]) -> str:
    """Return a sentence about an image's transfer that waits for a worker; empty if none waits.

    ``newest`` are the newest transfers of the image, newest first. Up to two queries.
    """
    transfer = next((it for it in newest if it.status == TransferStatus.WAITING), None)
    if transfer is None:
        return ""
    shown = source(request, transfer)
    sentence = _("%(kind)s waits for a background worker.") % {
        "kind": formatting.kind(transfer)
    }
    if shown:
        sentence = _("A background worker will download the data from %(url)s.") % {
            "url": shown
        }
    return f"{sentence} {_queue(transfer)}".strip()


def _queue(transfer: Transfer) -> str:
    if pause.current():
        return _("The operator has paused the workers.")
    before = Transfer.objects.filter(
        status=TransferStatus.WAITING, started_at__lt=transfer.started_at
    ).count()
    return (
        _("Transfers waiting before it: %(count)d.") % {"count": before}
        if before
        else ""
    )


def failure(
    request: HttpRequest, image: Image, newest: Sequence[Transfer]
) -> dict[str, Any] | None:
    """Return the failure of an image's last transfer, and the steps that help, for its page.

    ``newest`` are the newest transfers of the image, newest first. None if a transfer is open, if
    the last transfer has not failed, or if there is no transfer. No queries.
    """
    last = failures.last_failed(newest)
    if last is None:
        return None
    return {
        "title": _title(last),
        "source": source(request, last),
        "error": last.error,
        "code": last.error_code,
        "at": formatting.exact(last.ended_at),
        "request_id": last.request_id,
        "attempt": _attempt(last, newest),
        "steps": list(_steps(request, image, last)),
    }


def success(image: Image, newest: Sequence[Transfer]) -> Notice | None:
    """Return the notice that an image has got its data, or a further copy, in the last ten minutes.

    ``newest`` are the newest transfers of the image. None while one is open, if the last one failed,
    and later. No queries.
    """
    last = failures.last_ended(newest)
    if last is None or last.status != TransferStatus.DONE:
        return None
    is_new = last.ended_at > timezone.now() - NEW  # type: ignore[operator]
    if not is_new or image.status != Status.ACTIVE:
        return None
    title = _SUCCESS.get(last.kind)
    if last.kind in UPLOADS and last.import_method:
        title = _SUCCESS[TransferKind.WEB_DOWNLOAD]
    if title is None:  # such as the check of a location
        return None
    stored = _("The %(size)s of the image are stored.") % {
        "size": formatting.amount(image.size or 0)
    }
    return Notice(str(title), stored, [formatting.ago(last.ended_at)], tone="done")


def source(request: HttpRequest, transfer: Transfer) -> str:
    """Return the URL of a transfer's data, without user and query, for users who can import."""
    if not transfer.source or not may(request, IMPORTING):
        return ""
    return imports.masked(transfer.source)


def _title(transfer: Transfer) -> str:
    title = _("%(kind)s failed:")
    if transfer.error_code == errors.Gone.code:
        title = _("%(kind)s cancelled:")
    return title % {"kind": formatting.kind(transfer)}


def _attempt(last: Transfer, newest: Sequence[Transfer]) -> int:
    """Return how many transfers in a row have failed to get the data from the same URL."""
    count = 0
    for transfer in newest:
        if (transfer.kind, transfer.source) != (last.kind, last.source):
            break
        count += transfer.status == TransferStatus.FAILED
    return count


def _steps(request: HttpRequest, image: Image, last: Transfer) -> list[Step]:
    url = partial(list_state.image_url, request, image.pk)
    if last.kind == TransferKind.IMAGE_COPY and may(request, COPYING):
        return [Step(_("Copy again"), url("copy"))]
    if image.status != Status.QUEUED or not may(request, IMPORTING):
        return []
    if last.kind in UPLOADS:
        return [Step(_("Upload again"), url("upload"))]
    if not can_retry(last):
        return []
    change = Step(_("Change the URL"), url("import", transfer=last.pk))
    if needs_url(last):
        return [change]
    return [Step(_("Retry"), url("retry", last.pk), is_post=True), change]
