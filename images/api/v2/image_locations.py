"""API views for the locations of an image.

The JSON patch of an image can change them, too, at ``/locations``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any, NamedTuple

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, errors, imports, lifecycle
from images.access import Caller
from images.api import serializers
from images.api.v2.patch import LocationOperation
from images.expected_digests import is_digest
from images.http import request_body, responses
from images.http.views import ApiViewSet, get_caller
from images.lifecycle import LocationChange
from images.models import Status
from images.models.rows import Row

VALIDATION_ALGORITHMS = ("md5", "sha1", "sha256", "sha512")


class NewLocation(NamedTuple):
    """A location to be added: its URL, and the digest that its data must have, if one was sent."""

    url: str
    digests: dict[str, str]  # algorithm -> hexadecimal

    @classmethod
    def parse(cls, document: object) -> NewLocation:
        """Parse the JSON object ``{"url", "validation_data"?}``. Raises Invalid if it is malformed."""
        if not isinstance(document, dict) or not isinstance(document.get("url"), str):
            raise errors.Invalid("Send an object with 'url'.")
        if unknown := set(document) - {"url", "validation_data"}:
            raise errors.Invalid(
                f"Additional properties are not allowed: {', '.join(sorted(unknown))}."
            )
        return cls(document["url"], _digests(document.get("validation_data", {})))

    def shown(self) -> dict[str, Any]:
        """Return the URL, without its secrets, and the digest, as a JSON object.

        Clients see the object in the task that checks the location.
        """
        validation = [
            {"os_hash_algo": algorithm, "os_hash_value": value}
            for algorithm, value in self.digests.items()
        ]
        return {
            "loc_url": imports.masked(self.url),
            "validation_data": validation[0] if validation else {},
        }


class ImageLocationViewSet(ApiViewSet):
    """``/v2/images/{id}/locations``: the locations of an image.

    The PATCH of an image uses ``rules``, ``check_positions`` and ``changes`` for its operations
    on locations.
    """

    def list(self, request: Request, image_id: str) -> HttpResponse:
        """Return all locations of an image, for other services of the cloud.

        The list is empty for a deactivated image, unless the caller is an admin.
        """
        caller = get_caller(request)
        image = access.get_image(caller, image_id, "fetch_image_location")
        hidden = image["status"] == Status.DEACTIVATED and not caller.is_admin
        visible = [] if hidden else image["locations"]
        return responses.json(serializers.locations(visible))

    def create(self, request: Request, image_id: str) -> HttpResponse:
        """Request that the data at a URL becomes the data of a queued image.

        The background worker checks the data before the image is active.
        """
        caller = get_caller(request)
        access.get_image(caller, image_id, "add_image_location")
        new = NewLocation.parse(request_body.json(request._request, request_body.SMALL))
        is_web = new.url.lower().startswith(("http://", "https://"))
        if not (is_web or caller.is_service):
            raise errors.Forbidden(
                "http store must be enabled to use location API by normal user."
            )
        lifecycle.request_location(image_id, *new, caller, new.shown())
        return responses.nothing(202)

    @staticmethod
    def rules(image: Row, operations: Sequence[LocationOperation]) -> Iterator[str]:
        """Yield the names of the access rules that must allow these operations on an image's locations."""
        for status, operation in _with_status(image, operations):
            yield from _rules(status, operation)

    @staticmethod
    def check_positions(
        caller: Caller, image: Row, operations: Sequence[LocationOperation]
    ) -> None:
        """Raise Forbidden if the caller names a location by its position but does not see all locations.

        A position counts all locations, so such a caller could choose the wrong one. The position
        of an image's only location is always allowed.
        """
        has_position = any(operation.index is not None for operation in operations)
        count = len(image["locations"])
        if (
            has_position
            and count > 1
            and count > len(serializers.visible_locations(image, caller))
        ):
            raise errors.Forbidden(
                "You do not see all locations of this image, so you cannot choose one by its "
                "position. Ask an administrator."
            )

    @staticmethod
    def changes(
        image: Row, operations: Sequence[LocationOperation]
    ) -> Sequence[LocationChange]:
        """Convert the operations on an image's locations to changes for ``lifecycle.update``.

        Writes nothing. Raises Invalid, Conflict or OverLimit for a value that is not a
        location.
        """
        return [
            _change(status, operation)
            for status, operation in _with_status(image, operations)
        ]


def _digests(validation: object) -> dict[str, str]:
    if validation == {}:
        return {}
    if not isinstance(validation, dict) or set(validation) != {
        "os_hash_algo",
        "os_hash_value",
    }:
        raise errors.Invalid(
            "validation_data must be an object with os_hash_algo and os_hash_value."
        )
    algorithm, value = validation["os_hash_algo"], validation["os_hash_value"]
    if algorithm not in VALIDATION_ALGORITHMS:
        raise errors.Invalid(
            f"os_hash_algo must be one of {', '.join(VALIDATION_ALGORITHMS)}."
        )
    if not isinstance(value, str) or not is_digest(algorithm, value):
        raise errors.Invalid(
            f"os_hash_value ({value}) is not a valid hexadecimal value of {algorithm}."
        )
    return {algorithm: value.lower()}


def _with_status(
    image: Row, operations: Sequence[LocationOperation]
) -> Iterator[tuple[Status, LocationOperation]]:
    """Yield each operation with the status that the image will have before it: (status, operation).

    After the first operation, the status is active or queued, depending on whether the earlier
    operations leave any locations.
    """
    status, count = image["status"], len(image["locations"])
    for operation in operations:
        yield status, operation
        if operation.op == "replace":
            value = operation.value
            count = len(value) if isinstance(value, list) else count
        else:
            count += 1 if operation.op == "add" else -1
        status = Status.ACTIVE if count > 0 else Status.QUEUED


def _rules(status: Status, operation: LocationOperation) -> list[str]:
    empties = operation.op == "replace" and not operation.value
    if operation.op == "remove" or empties:
        return ["delete_image_location"]
    if operation.op == "add" and status == Status.ACTIVE:
        return ["set_image_location", "add_location_to_active"]
    return ["set_image_location"]


def _change(status: Status, operation: LocationOperation) -> LocationChange:
    if operation.op == "remove":
        assert operation.index is not None  # only add and replace can leave it out
        return lifecycle.RemoveLocationAt(operation.index)
    if operation.op == "add":
        location = lifecycle.AddLocation.parse(operation.value)
        # The rule for a second location was checked only if the image was active.
        return replace(location, to_active=status == Status.ACTIVE)
    return lifecycle.ReplaceLocations.parse(operation.value)
