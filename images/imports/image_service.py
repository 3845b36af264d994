"""Requests to the image service of another region: the description and the data of an image."""

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
# Properties whose names begin like this are copied with the data.
COPIED = ("hw_", "trait:", "os_distro", "os_secure_boot", "os_type")
FORMATS = ("disk_format", "container_format")
UNREADABLE = "The other image service describes the image in an unknown way."


@dataclass(frozen=True)
class ImageService:
    """The image service of another region: its URL, and headers with credentials for it."""

    url: str  # without the version
    headers: Mapping[str, str]
    is_operators: bool  # whether the URL is from the operator's settings

    def get(self, path: str) -> BaseHTTPResponse:
        """Return the response to a GET request, if its status is 200 or 204.

        Raises Forbidden if the service refuses the credentials, DataMissing for 404 and 410,
        StoreError for other statuses and for failures, Invalid if the URL filter refuses the
        URL.
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
    """An active image of another image service: its formats, properties, size and digests."""

    formats: Mapping[str, str]
    properties: Mapping[str, str]
    visibility: str
    size: int  # bytes
    digests: Mapping[str, str]  # algorithm -> hexadecimal


def missing() -> errors.DataMissing:
    """Return the error for an image that another service does not have or does not show to the caller."""
    return errors.DataMissing(
        "The other image service has no such image, or the caller may not read it."
    )


def describe(service: ImageService, image_id: str) -> RemoteImage:
    """Return the description of an image that another image service has.

    Raises Conflict unless the image is active, Invalid for a description in an unknown form,
    and the errors of ``ImageService.get``.
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
    """Yield the data of another image service's image, which must not be empty.

    Raises the errors of ``ImageService.get``.
    """
    yield from http.stream(service.get(f"/v2/images/{image_id}/file"))


def _digests(document: dict[str, Any]) -> dict[str, str]:
    """Return the digests (algorithm -> hexadecimal) in the description of an image, if it has any.

    Raises Invalid for a digest that is malformed or by an unknown algorithm.
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
