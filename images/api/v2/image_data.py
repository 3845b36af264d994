"""API views for the upload and download of an image's data."""

from __future__ import annotations

from typing import ClassVar

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.request import Request

from images import access, errors, lifecycle, stores
from images.access import Caller
from images.api import data_responses, transfer_shares
from images.http import (
    content_headers,
    digest_fields,
    preconditions,
    responses,
    streaming,
)
from images.http.views import ApiView, get_caller
from images.models import READABLE_STATUSES
from images.models.rows import Row
from images.operations import known_digests, wanted_digests


class UnsupportedData(errors.Invalid):
    """The error for image data whose Content-Type is not application/octet-stream."""

    code = "unsupported-data"


class ImageDataView(ApiView):
    """``/v2/images/{id}/file``: upload and download of an image's data."""

    http_method_names = ["get", "head", "put"]
    error_status: ClassVar = {UnsupportedData: 415, errors.DataMissing: 204}

    def put(self, request: Request, image_id: str) -> HttpResponse:
        """Receive the data of a queued image."""
        return _upload(request, image_id)

    def get(self, request: Request, image_id: str) -> HttpResponseBase:
        """Send an image's data, or the range of it that the header Range names."""
        return _download(request, image_id)

    def head(self, request: Request, image_id: str) -> HttpResponseBase:
        """Answer as GET does for all of an image's data: the same headers, but no data."""
        return _download(request, image_id)


def _download(request: Request, image_id: str) -> HttpResponseBase:
    http = request._request
    preferred = _preferred(request)
    caller = get_caller(request)
    image = _allowed(caller, image_id, preferred)
    if image["status"] not in READABLE_STATUSES:
        return responses.nothing()
    # The data has no ETag in this API.
    if preconditions.has_current(http, None):
        return responses.not_modified(None)
    response = data_responses.send(
        http,
        caller,
        image,
        preferred=preferred,
        allow_damaged=lifecycle.allows_damaged(caller, image),
    )
    if digest := digest_fields.field(_digests(http, image)):
        response.headers["Repr-Digest"] = digest
    return response


def _digests(http: HttpRequest, image: Row) -> dict[str, str]:
    """Return the digests of an image's data for the response header Repr-Digest, by algorithm.

    The request header Want-Repr-Digest chooses among the known digests. Without it, the digest in
    the image's own algorithm is returned. If the header names an algorithm whose digest is not
    known, the background worker is asked to compute that digest.
    """
    weights = digest_fields.weights(http)
    if weights is None:
        return {image["os_hash_algo"]: image["os_hash_value"]}
    known = known_digests.of(image)
    if any(weights[algorithm] for algorithm in weights.keys() - known.keys()):
        wanted_digests.ask(image["id"])
    return digest_fields.preferred(known, weights)


def _allowed(caller: Caller, image_id: str, preferred: list[str]) -> Row:
    """Return the row of an image whose data the caller is allowed to download.

    If there are ``preferred`` stores, the caller must also be allowed to choose the stores. Raises
    NotFound if the caller does not see the image, Forbidden if the download is not allowed.
    """
    image = access.get_image(caller, image_id, "download_image")
    if preferred:
        access.check(caller, "download_from_store", image)
    lifecycle.check_download(caller, image)
    return image


def _preferred(request: Request) -> list[str]:
    """Return the store ids in the query ``?prefer=a,b``: these stores are tried first for a download.

    Empty without the parameter. Raises Invalid if a store does not exist.
    """
    text = request._request.GET.get("prefer", "")
    return [_store_id(name) for name in text.replace(",", " ").split()]


def _store_id(name: str) -> str:
    try:
        return stores.get(name).id
    except errors.Invalid:
        raise errors.Invalid(f"Store '{name[:64]}' is not configured.") from None


def announced_size(http: HttpRequest) -> int | None:
    """Return the size in bytes that a request's headers state for its data; None if they state none.

    Raises UnsupportedData if Content-Type is not application/octet-stream, EncodedContent for an
    encoded body, and Invalid for a body that is only a part of the data, or a malformed size.
    """
    if http.content_type != streaming.MEDIA_TYPE:
        message = f"Send the data as Content-Type: {streaming.MEDIA_TYPE}."
        raise UnsupportedData(message)
    content_headers.check_plain_and_whole(http)
    return streaming.body_size(http)


def _upload(request: Request, image_id: str) -> HttpResponse:
    http = request._request
    size, digests = announced_size(http), digest_fields.expected(http)
    caller = get_caller(request)
    image = access.get_image(caller, image_id, "upload_image")
    preconditions.has_current(http, None, exists=image["status"] in READABLE_STATUSES)
    with transfer_shares.upload(http, caller):
        lifecycle.upload(
            image_id,
            streaming.body(http),
            caller,
            expected_size=size,
            expected_digests=digests,
            store_id=request.headers.get("x-image-meta-store"),
        )
    return responses.nothing()
