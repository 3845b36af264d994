"""The admin page from which a browser uploads a file in chunks, or resumes an upload."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from images import uploads
from images.admin import formatting, list_state, polling, transfer_notes
from images.admin.actions import may, require
from images.admin.shortcuts import context, get_image_or_404
from images.models import Image, Status, Transfer, TransferStatus

ACCEPTS_UPLOAD = (Status.QUEUED, Status.UPLOADING, Status.IMPORTING)


def show(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the page from which the browser uploads a file.

    The script of the page sends the file to the URLs in images/api/v2/browser.py.
    """
    require(request, "images.upload_image")
    image = get_image_or_404(image_id)
    upload = _open_upload(image)
    failure = transfer_notes.failure(request, image, polling.newest_transfers(image))
    return TemplateResponse(
        request,
        "admin/images/image/upload.html",
        context(
            request,
            title=_("Upload"),
            image=image,
            badge=formatting.badge(image.status),
            refusal=_refusal(image, upload),
            upload=upload,
            state=state(image, upload),
            last_error=failure and failure | {"steps": []},
            filename=upload and uploads.filename(upload),
            done=list_state.image_url(request, image.pk),
            kept_for=kept_for(),
        ),
    )


def live(request: HttpRequest, image_id: str) -> HttpResponse:
    """Return the state of an image's upload as JSON, which the upload page polls."""
    require(request, "images.upload_image")
    image = get_image_or_404(image_id)
    return JsonResponse(state(image, _open_upload(image)))


def kept_for() -> str:
    """Return as text how long the data of a paused upload is kept."""
    return formatting.duration(settings.IMAGECATALOG_UPLOAD_EXPIRY)


def state(image: Image, upload: Transfer | None) -> dict[str, Any]:
    """Return the state of an image's upload, which every open upload page of the image shows.

    ``phase`` is ``sending`` if a request is sending data now, from whichever tab or computer,
    ``stopped`` if none is, ``importing`` once all data has arrived, and empty without an open
    upload. ``offset`` is the number of stored bytes of ``length``, ``sha256`` is the digest that
    the file must have, if the client has stated it.
    """
    document: dict[str, Any] = {
        "status": image.status,
        "label": formatting.status_name(image.status),
        "upload": "",
        "phase": "",
        "sha256": "",
    }
    if upload is None:
        return document
    phase = "stopped"
    if upload.is_complete:
        phase = "importing"
    elif uploads.is_sending(upload):
        phase = "sending"
    return document | {
        "upload": str(upload.pk),
        "phase": phase,
        "sha256": upload.expected_digests.get("sha256", ""),
        "offset": upload.bytes_received,
        "length": upload.bytes_expected,
        "received": _received(upload),
    }


def _received(upload: Transfer) -> str:
    return _("%(part)s of %(whole)s") % {
        "part": formatting.amount(upload.bytes_received),
        "whole": formatting.amount(upload.bytes_expected or 0),
    }


def link(request: HttpRequest, image: Image) -> str:
    """Return the text of the link to the upload page; empty if this user cannot upload now."""
    if not may(request, "images.upload_image"):
        return ""
    if image.status == Status.QUEUED:
        return "" if _waits(image) else _("Upload a file")
    upload = _open_upload(image) if image.status == Status.UPLOADING else None
    if upload is None:
        return ""
    return _("Show upload") if uploads.is_sending(upload) else _("Resume upload")


def _open_upload(image: Image) -> Transfer | None:
    return next(iter(uploads.uploads(image.pk)), None)


def _waits(image: Image) -> bool:
    """Return whether a background worker will download the data of a queued image."""
    return image.transfers.filter(status=TransferStatus.WAITING).exists()


def _refusal(image: Image, upload: Transfer | None) -> str:
    """Return why the page offers no upload; empty if the image has an upload or can get one."""
    if image.status not in ACCEPTS_UPLOAD:
        return _("The image is %(status)s. Only queued images accept an upload.") % {
            "status": formatting.status(image.status)
        }
    if upload is not None:
        return ""
    if image.status != Status.QUEUED:
        return _("Another transfer is running. Wait for it, or cancel it first.")
    if _waits(image):
        return _(
            "A background worker will download the data. To upload a file, cancel that first."
        )
    if not image.disk_format or not image.container_format:
        return _("Set the disk and container format first.")
    return ""
