"""The view that sends the data of an image to the browser, as a file to save."""

from __future__ import annotations

import unicodedata

from django.http import HttpRequest, HttpResponseBase
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from images import access, errors, lifecycle
from images.admin.actions import get_caller, may, require
from images.admin.shortcuts import get_image_or_404, redirect_to_image
from images.api import data_responses
from images.models import READABLE_STATUSES, Image

PERMISSION = "images.download_image"
NOT_IN_NAMES = '/\\:*?"<>|'  # what some file systems do not allow
LONGEST = 200  # characters of a file's name without its ending


@require_safe
def send(request: HttpRequest, image_id: str) -> HttpResponseBase:
    """Send an image's data as a file, or the range of it that the request names.

    If that is not possible, redirects to the page of the image, which says why. Raises
    PermissionDenied without the permission to download images, Http404 for an unknown image.
    """
    require(request, PERMISSION)
    image = get_image_or_404(image_id)
    caller = get_caller(request)
    try:
        row = access.get_image(caller, image.pk, "download_image")
        lifecycle.check_download(caller, row)
        etag = row["checksum"]
        response = data_responses.send(request, caller, row, etag=etag)
    except errors.ImageError as error:
        return redirect_to_image(request, image, str(error), "")
    disposition = content_disposition_header(True, file_name(image))
    response.headers["Content-Disposition"] = disposition or "attachment"
    if etag:  # with it, a browser resumes a download that was interrupted
        response.headers["ETag"] = f'"{etag}"'
    return response


def file_name(image: Image) -> str:
    """Return the name of the file with an image's data: the image's name, with its disk format.

    Characters that are no part of file names, or are invisible, become ``_``.
    """
    name = "".join(
        "_" if char in NOT_IN_NAMES or unicodedata.category(char)[0] in "CZ" else char
        for char in image.name or ""
    ).strip("._")
    ending = image.disk_format or "img"
    stem = (name or image.pk).removesuffix(f".{ending}")
    return f"{stem[:LONGEST]}.{ending}"


def refusal(request: HttpRequest, image: Image) -> str:
    """Return the reason why this user cannot download an image's data now; empty if it is possible."""
    if image.status not in READABLE_STATUSES:
        return _("Only active and deactivated images have data to download.")
    if not may(request, PERMISSION):
        return _("Your role does not allow this action.")
    return ""
