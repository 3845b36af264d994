"""Reading of an image from another image service, with credentials."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from urllib3 import BaseHTTPResponse

from images import errors, expected_digests
from images.models import Status
from images.stores import http

MOST = 4 << 20  # bytes of a description
# The beginnings of the names of the properties that are copied with the data.
COPIED = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
FORMATS = ("disk_format", "container_format")
UNREADABLE = "The other image service describes the image in an unknown way."


@dataclass(frozen=True)
class ImageService:
    """An image service, and the headers with the credentials for it."""

    url: str  # without the version
    headers: Mapping[str, str]
    is_operators: bool  # whether the URL is from the operator's settings

    def get(self, path: str) -> BaseHTTPResponse:
        """Return the response to a GET request, whose status is 200 or 204.

        Raises Forbidden, DataMissing, StoreError, Invalid.
        """
        response = http.request(
            "GET", f"{self.url}{path}", self.headers, is_operators=self.is_operators
        )
        if response.status in (200, 204):
            return response
        response.close()
        if response.status in (401, 403):
            raise errors.Forbidden(
                "The other image service refuses the credentials: "
                f"it responded with {response.status}."
            )
        if response.status in (404, 410):
            raise missing()
        raise errors.StoreError(
            f"The other image service responded with {response.status}."
        )


@dataclass(frozen=True)
class RemoteImage:
    """An active image of another service: what is copied, and what its data must have."""

    formats: Mapping[str, str]
    properties: Mapping[str, str]
    visibility: str
    size: int  # bytes
    digests: Mapping[str, str]  # algorithm -> hexadecimal


def missing() -> errors.DataMissing:
    """Return the error for an image that is missing, or that the caller may not read."""
    return errors.DataMissing(
        "The other image service has no such image, or the caller may not read it."
    )


def describe(service: ImageService, image_id: str) -> RemoteImage:
    """Read the description of an image.

    Raises Conflict unless the image is active, Invalid for a description that cannot be used,
    and the errors of ``get``.
    """
    content = http.read_small(service.get(f"/v2/images/{image_id}"), MOST)
    try:
        document = orjson.loads(content)
    except ValueError:
        raise errors.Invalid(UNREADABLE) from None
    if not isinstance(document, dict):
        raise errors.Invalid(UNREADABLE)
    if document.get("status") != Status.ACTIVE:
        raise errors.Conflict(
            "The image at the other image service is not active. Try again when it is."
        )
    size = document.get("size")
    if type(size) is not int or size < 0:
        raise errors.Invalid(UNREADABLE)
    return RemoteImage(
        formats={name: _text(document, name) for name in FORMATS},
        properties={
            name: _text(document, name) for name in document if name.startswith(COPIED)
        },
        visibility=_text(document, "visibility"),
        size=size,
        digests=_digests(document),
    )


def read(service: ImageService, image_id: str) -> Iterator[bytes]:
    """Yield the data of an image that is not empty. Raises the errors of ``get``."""
    yield from http.stream(service.get(f"/v2/images/{image_id}/file"))


def _digests(document: dict[str, Any]) -> dict[str, str]:
    """Return the digests of the data; empty if the service does not know them.

    Raises Invalid for a digest by an unknown algorithm.
    """
    named = {document.get("os_hash_algo"): document.get("os_hash_value")}
    known = {"md5": document.get("checksum")} | (named if any(named) else {})
    digests = {name: value for name, value in known.items() if value is not None}
    for algorithm, value in digests.items():
        if not expected_digests.is_digest(str(algorithm), str(value)):
            raise errors.Invalid(UNREADABLE)
    return {str(name): str(value).lower() for name, value in digests.items()}


def _text(document: dict[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise errors.Invalid(UNREADABLE)
    return value
