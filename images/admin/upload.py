"""The page from which a browser sends a file, chunk by chunk, and goes on with one that stopped."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from images import uploads
from images.admin import formatting
from images.admin.actions import may, require
from images.admin.shortcuts import context, find
from images.models import Image, Status

TAKES_DATA = (Status.QUEUED, Status.UPLOADING, Status.IMPORTING)


def show(request: HttpRequest, image_id: str) -> HttpResponse:
    """The page; what it sends goes to the resource beside it, see images/api/v2/browser.py."""
    require(request, "images.upload_image")
    image = find(image_id)
    upload = next(iter(uploads.uploads(image.pk)), None)
    return TemplateResponse(
        request,
        "admin/images/image/upload.html",
        context(
            request,
            title=_("Upload"),
            image=image,
            badge=formatting.badge(image.status),
            refusal=_refusal(image, going_on=upload is not None),
            upload=upload,
            filename=upload and uploads.filename(upload),
            arrived=upload and formatting.progress(upload)["words"],
            kept=formatting.duration(settings.IMAGECATALOG_UPLOAD_EXPIRY),
        ),
    )


def link(request: HttpRequest, image: Image) -> str:
    """What the way to this page is called on the page of the image; empty: it leads nowhere."""
    if not may(request, "images.upload_image"):
        return ""
    if image.status == Status.QUEUED:
        return _("Upload a file")
    return _("Go on with the upload") if uploads.uploads(image.pk) else ""


def _refusal(image: Image, *, going_on: bool) -> str:
    if image.status not in TAKES_DATA:
        return _("The image is %(status)s; only a queued one takes data.") % {
            "status": formatting.status(image.status)
        }
    if image.status != Status.QUEUED and not going_on:
        return _("Something else is bringing data in.")
    if not image.disk_format or not image.container_format:
        return _("Say the disk format and the container format of the image first.")
    return ""
