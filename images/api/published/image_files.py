"""Responses with the data of published images."""

from __future__ import annotations

from datetime import datetime

from django.conf import settings
from django.http import HttpRequest, HttpResponseBase
from django.utils.http import http_date

from images import access, errors
from images.access import Caller
from images.api import data_responses
from images.http import digest_fields, preconditions, responses
from images.models import Status
from images.models.rows import Row
from images.publishing import reading
from images.publishing.reading import Folder


def send(
    http: HttpRequest, caller: Caller, folder: Folder, name: str, *, is_current: bool
) -> HttpResponseBase:
    """Return the response with the data of a published image, as a file with the name ``name``.

    The image is that of the version to which ``folder`` belongs. The response is 304 if the client
    has the data already. ``is_current`` says that the folder is ``current/``, whose file a
    promotion or a rollback replaces by that of another version. A range of such a file is sent only
    if the request has If-Range: otherwise a client that resumes a download could join parts of two
    images. Raises NotFound if the image can no longer be downloaded, PreconditionFailed, and the
    errors of ``data_responses.send``.
    """
    version = folder.version
    image = _image(caller, version.image_id, is_public=not folder.family.project)
    etag = f"sha256-{version.sha256}"
    since = None if is_current else folder.modified
    if preconditions.has_current(http, etag, modified=since):
        unchanged = responses.not_modified(None)
        _describe(unchanged, etag, folder.modified)
        return unchanged
    whole = is_current and "If-Range" not in http.headers
    response = data_responses.send(http, caller, image, whole=whole, etag=etag)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    digests = {"md5": version.md5, "sha256": version.sha256, "sha512": version.sha512}
    weights = digest_fields.weights(http)
    if weights is None:
        digests = {"sha256": version.sha256}
    else:
        digests = digest_fields.preferred(digests, weights)
    if field := digest_fields.field(digests):
        response.headers["Repr-Digest"] = field
    _describe(response, etag, folder.modified)
    return response


def _image(caller: Caller, image_id: str, *, is_public: bool) -> Row:
    """Return the row of a published image that the caller can download.

    With ``is_public``, the image must have the visibility ``public``. Raises NotFound if the image
    is no longer active or public, or if the caller cannot see it. If the download is not allowed,
    raises Forbidden where readers sign in, otherwise NotFound.
    """
    try:
        image = access.get_image(caller, image_id, "download_image")
    except errors.Forbidden:
        if settings.IMAGECATALOG_PUBLISH == "public":  # no sign-in would change it
            raise reading.missing() from None
        raise
    is_hidden = is_public and image["visibility"] != "public"
    if image["status"] != Status.ACTIVE or is_hidden:
        raise reading.missing()
    return image


def _describe(response: HttpResponseBase, etag: str, modified: datetime) -> None:
    response.headers["ETag"] = f'"{etag}"'
    response.headers["Last-Modified"] = http_date(modified.timestamp())
