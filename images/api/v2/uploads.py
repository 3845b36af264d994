"""Resumable uploads with the protocol tus 1.0.0 (https://tus.io), an extension of the Image API.

Supported: the core protocol, creation, checksum, expiration and termination.
"""

from __future__ import annotations

import base64
import re
from typing import Any, ClassVar, Final

from django.conf import settings
from django.http import HttpRequest, HttpResponse, HttpResponseBase
from django.utils.http import http_date
from rest_framework.request import Request

from images import access, errors, uploads
from images.access import Caller
from images.api import transfer_shares
from images.http import (
    content_headers,
    digest_fields,
    public_url,
    request_body,
    responses,
    streaming,
)
from images.http.views import ApiView, get_caller
from images.models import Transfer
from images.units import parse_number

VERSION: Final = "1.0.0"
EXTENSIONS: Final = "creation,checksum,expiration,termination"
CHECKSUMS: Final = ("sha1", "sha256", "sha512")
MEDIA_TYPE: Final = "application/offset+octet-stream"
NUMBER = re.compile("[0-9]+", re.ASCII)
KEY = re.compile("[!-+\\--~]{1,255}", re.ASCII)  # no blank, no comma
METADATA_LIMIT: Final = 4096  # characters
# A stalled request is ended early, because it keeps its client from resuming.
PATIENCE: Final = 10.0  # seconds


class WrongVersion(errors.Invalid):
    """The error (412) for a client that does not name the supported version of tus."""

    code = "wrong-version"


class WrongMediaType(errors.Invalid):
    """The error for a chunk whose Content-Type is not application/offset+octet-stream."""

    code = "wrong-media-type"


class TusView(ApiView):
    """The base class of views with the headers and status codes that tus 1.0.0 demands."""

    error_status: ClassVar = {
        WrongVersion: 412,
        WrongMediaType: 415,
        errors.Locked: 423,
        uploads.ChecksumMismatch: 460,
    }
    error_headers: ClassVar = {errors.Locked: {"Retry-After": "2"}}

    def dispatch(
        self, request: HttpRequest, *args: Any, **kwargs: Any
    ) -> HttpResponseBase:
        """Answer a request, and add the headers of tus to the response.

        The header X-HTTP-Method-Override replaces the method of the request.
        """
        if override := request.headers.get("X-HTTP-Method-Override"):
            request.method = override.upper()
        response = super().dispatch(request, *args, **kwargs)
        response.headers["Tus-Resumable"] = VERSION
        if request.method == "HEAD" and isinstance(response, HttpResponse):
            response.content = b""  # RFC 9110 section 9.3.2
            response.headers["Content-Length"] = "0"
        if request.method == "OPTIONS" or response.status_code == 412:
            response.headers["Tus-Version"] = VERSION
            response.headers["Tus-Extension"] = EXTENSIONS
            response.headers["Tus-Checksum-Algorithm"] = ",".join(CHECKSUMS)
            response.headers["Tus-Max-Size"] = str(settings.IMAGECATALOG_IMAGE_SIZE_CAP)
        return response

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        """Authenticate the caller, and check the version of the tus protocol.

        Raises WrongVersion unless the header Tus-Resumable names the supported version; GET does
        not need the header.
        """
        super().initial(request, *args, **kwargs)
        if request.method != "GET" and request.headers.get("Tus-Resumable") != VERSION:
            raise WrongVersion(
                f"Unsupported version of tus. Send the header Tus-Resumable: {VERSION}."
            )


class UploadsView(TusView):
    """``/v2/images/{id}/uploads``: show the open resumable upload of an image, or open one."""

    http_method_names = ["get", "post"]

    def get(self, request: Request, image_id: str) -> HttpResponse:
        """Return a list with the open resumable upload of an image; empty if there is none."""
        _allowed(request, image_id)
        documents = [_document(upload) for upload in uploads.uploads(image_id)]
        return responses.json({"uploads": documents})

    def post(self, request: Request, image_id: str) -> HttpResponse:
        """Begin a resumable upload of Upload-Length bytes for a queued image (tus: creation)."""
        size = _number(request, "Upload-Length")
        metadata = _metadata(request)
        digests = digest_fields.expected(request._request, "Repr-Digest")
        caller = _allowed(request, image_id)
        request_body.refuse(request._request)
        upload = uploads.begin(
            image_id,
            size,
            caller,
            store_id=request.headers.get("x-image-meta-store"),
            metadata=metadata,
            expected_digests=digests,
        )
        response = responses.nothing(201)
        public_url.set_location(response, request._request, _path(upload))
        return _with_expiry(response, upload)


class UploadView(TusView):
    """``/v2/images/{id}/uploads/{upload_id}``: one resumable upload."""

    http_method_names = ["get", "head", "patch", "delete"]

    def get(
        self, request: Request, image_id: str, upload_id: str, **kwargs: str
    ) -> HttpResponse:
        """Return a resumable upload as a JSON object, even if the upload has ended."""
        _allowed(request, image_id)
        return responses.json(_document(uploads.find(image_id, upload_id)))

    def head(
        self, request: Request, image_id: str, upload_id: str, **kwargs: str
    ) -> HttpResponse:
        """Return in Upload-Offset how many bytes have arrived.

        The client can resume the upload with the byte after them.
        """
        _allowed(request, image_id)
        upload = uploads.find_not_failed(image_id, upload_id)
        response = _with_offset(responses.nothing(200), upload)
        response.headers["Upload-Length"] = str(upload.bytes_expected)
        if upload.metadata:
            response.headers["Upload-Metadata"] = upload.metadata
        response.headers["Cache-Control"] = "no-store"
        return response

    def patch(
        self, request: Request, image_id: str, upload_id: str, **kwargs: str
    ) -> HttpResponse:
        """Append the bytes of the body to a resumable upload.

        The header Upload-Offset must be the number of bytes that the upload already has.
        """
        http = request._request
        if http.content_type != MEDIA_TYPE:
            raise WrongMediaType(f"Send the data as Content-Type: {MEDIA_TYPE}.")
        content_headers.check_plain_and_whole(http)
        offset = _number(request, "Upload-Offset")
        size = streaming.content_length(http)
        digests = _chunk_digests(http)
        caller = _allowed(request, image_id)
        blocks = streaming.body(http, PATIENCE)
        with transfer_shares.upload(http, caller):
            upload = uploads.append(
                image_id,
                upload_id,
                offset,
                blocks,
                caller,
                announced=size,
                expected_digests=digests,
            )
        return _with_offset(responses.nothing(), upload)

    def delete(
        self, request: Request, image_id: str, upload_id: str, **kwargs: str
    ) -> HttpResponse:
        """Cancel an upload and remove its bytes (tus: termination)."""
        uploads.terminate(image_id, upload_id, _allowed(request, image_id))
        return responses.nothing()


def _allowed(request: Request, image_id: str) -> Caller:
    """Return the request's caller if it is allowed to upload data to the image.

    Raises NotFound if the caller does not see the image, Forbidden if the upload is not
    allowed.
    """
    caller = get_caller(request)
    access.get_image(caller, image_id, "upload_image")
    return caller


def _number(request: Request, name: str) -> int:
    text = request.headers.get(name, "")
    if not NUMBER.fullmatch(text):
        raise errors.Invalid(f"The header {name} must be a number of bytes.")
    return parse_number(text)


def _chunk_digests(request: HttpRequest) -> dict[str, str]:
    """Return the digests (algorithm -> hexadecimal) that a request states for the chunk in its body.

    The headers are Upload-Checksum and Content-Digest. Raises Invalid if they are malformed,
    contradict each other, or use an unsupported algorithm.
    """
    digests = digest_fields.expected(request, "Content-Digest")
    header = request.headers.get("Upload-Checksum")
    if header is None:
        return digests
    algorithm, _, text = header.partition(" ")
    digest = digest_fields.decoded(algorithm, text) if algorithm in CHECKSUMS else None
    if digest is None or digests.setdefault(algorithm, digest) != digest:
        raise errors.Invalid(
            "Upload-Checksum must be the digest of the body: "
            f"{', '.join(CHECKSUMS)}, with a blank and the digest in base64."
        )
    return digests


def _metadata(request: Request) -> str:
    """Return the header Upload-Metadata unchanged.

    Raises Invalid unless it is a list of different keys, each with a value in base64.
    """
    text = request.headers.get("Upload-Metadata", "")
    pairs = [pair.strip().partition(" ") for pair in text.split(",") if pair.strip()]
    keys = {key for key, _, value in pairs if KEY.fullmatch(key) and _decodes(value)}
    if len(keys) != len(pairs) or len(text) > METADATA_LIMIT:
        raise errors.Invalid(
            "Upload-Metadata must be a list of different keys, each with a blank and its "
            f"value in base64, in at most {METADATA_LIMIT} characters."
        )
    return text


def _decodes(value: str) -> bool:
    try:
        base64.b64decode(value, validate=True)
    except ValueError:
        return False
    return True


def _path(upload: Transfer) -> str:
    return f"/v2/images/{upload.image_id}/uploads/{upload.pk}"


def _with_offset(response: HttpResponse, upload: Transfer) -> HttpResponse:
    response.headers["Upload-Offset"] = str(upload.bytes_received)
    return _with_expiry(response, upload)


def _with_expiry(response: HttpResponse, upload: Transfer) -> HttpResponse:
    if upload.deadline and uploads.phase(upload) == "uploading":
        response.headers["Upload-Expires"] = http_date(upload.deadline.timestamp())
    return response


def _document(upload: Transfer) -> dict[str, Any]:
    return {
        "id": str(upload.pk),
        "status": uploads.phase(upload),
        "offset": upload.bytes_received,
        "length": upload.bytes_expected,
        "metadata": upload.metadata,
        "started_at": responses.instant(upload.started_at),
        "expires_at": upload.deadline and responses.instant(upload.deadline),
        "error": upload.error or None,
        "self": _path(upload),
    }
