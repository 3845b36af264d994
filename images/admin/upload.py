"""The admin page from which a browser uploads a file in chunks, or resumes an upload."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from images import uploads
from images.admin import formatting
from images.admin.actions import may, require
from images.admin.shortcuts import context, get_image_or_404
from images.models import Image, Status

ACCEPTS_UPLOAD = (Status.QUEUED, Status.UPLOADING, Status.IMPORTING)


def show(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the page from which the browser uploads a file.

    The script of the page sends the file to the URLs in images/api/v2/browser.py.
    """
    require(request, "images.upload_image")
    image = get_image_or_404(image_id)
    upload = next(iter(uploads.uploads(image.pk)), None)
    return TemplateResponse(
        request,
        "admin/images/image/upload.html",
        context(
            request,
            title=_("Upload"),
            image=image,
            badge=formatting.badge(image.status),
            refusal=_refusal(image, resumable=upload is not None),
            upload=upload,
            filename=upload and uploads.filename(upload),
            received=upload and formatting.progress(upload)["words"],
            kept=formatting.duration(settings.IMAGECATALOG_UPLOAD_EXPIRY),
        ),
    )


def link(request: HttpRequest, image: Image) -> str:
    """Return the text of the link to the upload page; empty if this user cannot upload now."""
    if not may(request, "images.upload_image"):
        return ""
    if image.status == Status.QUEUED:
        return _("Upload a file")
    is_incomplete = image.status == Status.UPLOADING and uploads.uploads(image.pk)
    return _("Resume upload") if is_incomplete else ""


def _refusal(image: Image, *, resumable: bool) -> str:
    if image.status not in ACCEPTS_UPLOAD:
        return _("The image is %(status)s. Only queued images accept an upload.") % {
            "status": formatting.status(image.status)
        }
    if image.status == Status.IMPORTING and resumable:
        return _("The upload is complete. Its data is being verified and stored.")
    if image.status != Status.QUEUED and not resumable:
        return _("Another transfer is running. Wait for it, or cancel it first.")
    if not image.disk_format or not image.container_format:
        return _("Set the disk and container format first.")
    return ""
