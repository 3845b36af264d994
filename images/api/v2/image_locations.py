"""The locations of an image, which the JSON patch of the image changes at ``/locations``."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from images import errors, lifecycle
from images.access import Caller
from images.api.v2.patch import LocationOperation
from images.api.v2.serializers import visible_locations
from images.http.views import ApiViewSet
from images.lifecycle import LocationChange
from images.models import Status
from images.models.rows import Row


class ImageLocationViewSet(ApiViewSet):
    """The locations of an image, which have no requests of their own yet.

    The PATCH of an image hands its operations on locations to ``rules`` and ``changes``. The
    router maps no URL to this ViewSet until it has actions (Image API 2.17: list, create).
    """

    @staticmethod
    def rules(image: Row, operations: Sequence[LocationOperation]) -> Iterator[str]:
        """Yield the names of the rules that must allow the operations on an image."""
        for status, operation in _with_status(image, operations):
            yield from _rules(status, operation)

    @staticmethod
    def check_positions(
        caller: Caller, image: Row, operations: Sequence[LocationOperation]
    ) -> None:
        """Raise Forbidden for an operation at a position that the caller cannot know.

        A position counts all locations, so a caller that sees only some could choose the
        wrong one. The position of an only location is known to all.
        """
        has_position = any(operation.index is not None for operation in operations)
        count = len(image["locations"])
        if has_position and count > 1 and count > len(visible_locations(image, caller)):
            raise errors.Forbidden(
                "You do not see all locations of this image, so you cannot choose one by its "
                "position. Ask an administrator."
            )

    @staticmethod
    def changes(
        image: Row, operations: Sequence[LocationOperation]
    ) -> list[LocationChange]:
        """Return the operations on an image as changes of its locations. Writes nothing.

        Raises Invalid, Conflict and OverLimit for a value that is not a location.
        """
        return [
            _change(status, operation)
            for status, operation in _with_status(image, operations)
        ]


def _with_status(
    image: Row, operations: Sequence[LocationOperation]
) -> Iterator[tuple[Status, LocationOperation]]:
    """Yield each operation with the status that the image has when it is applied."""
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
