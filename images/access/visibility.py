"""The images that a caller sees, and the queries that find an image by its id."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from django.db.models import Exists, OuterRef, Q

from images import errors
from images.access.caller import Caller, implied
from images.access.rules import may, overrides, refused, rule_allows
from images.models import Image, Member, rows
from images.models.rows import Row
from images.models.statements import Statement

# Placeholders, which cannot be the id of a project or an image.
_PROJECT, _ID = "\0project", "\0id"


def seen_by(caller: Caller) -> Q:
    """Return the condition for images that the caller sees by their id."""
    if caller.is_admin:
        return Q()
    if "reader" not in caller.roles:
        return Q(pk__in=[])
    shared = Member.objects.filter(image=OuterRef("pk"), member=caller.project)
    return (
        Q(owner=caller.project)
        | Q(owner=None)
        | Q(visibility__in=("public", "community"))
        | Q(Exists(shared), visibility="shared")
    )


def find(caller: Caller, image_id: str, *, deleted: bool = False) -> Row:
    """Return the row of an image that the caller's project sees, before any rule is asked.

    Check a rule before using the row. ``deleted`` includes deleted images. One query. Raises
    NotFound.
    """
    matching = []
    if caller.roles:
        statement = _by_id(caller.is_admin, deleted)
        params = statement.bind({_PROJECT: caller.project, _ID: image_id})
        matching = rows.fetch(statement.sql, params)
    if not matching:
        raise missing(image_id)
    return matching[0]


def current(image_id: str) -> Row:
    """Return the row of an image that an allowed request has just changed. One query.

    A change can take the image out of the caller's own sight; the caller still gets the answer.
    Raises NotFound if the image is gone meanwhile.
    """
    statement = _by_id(is_admin=True, deleted=True)
    matching = rows.fetch(statement.sql, statement.bind({_ID: image_id}))
    if not matching:
        raise missing(image_id)
    return matching[0]


def require(caller: Caller, action: str, image: Row) -> None:
    """Raise an error unless ``may`` allows the action on a row that ``find`` returned.

    Raises NotFound if the caller is not allowed to see the image either, so that it does not
    learn that the image exists; Forbidden otherwise.
    """
    if may(caller, action, image):
        return
    if not rule_allows(caller, "get_image", image):
        raise missing(image["id"])
    raise refused(action)


def visible(caller: Caller, page: Sequence[Row]) -> list[Row]:
    """Return the rows of a list without those that an overridden rule get_image hides."""
    if "get_image" not in overrides():
        return list(page)
    return [image for image in page if rule_allows(caller, "get_image", image)]


def get_image(
    caller: Caller, image_id: str, action: str = "get_image", *, deleted: bool = False
) -> Row:
    """Return the row of an image if the action is allowed. One query.

    The rule ``get_image`` is asked only when the action is refused. ``deleted`` includes deleted
    images. Raises NotFound when the caller does not see the image, Forbidden when the action is
    not allowed.
    """
    image = find(caller, image_id, deleted=deleted)
    require(caller, action, image)
    return image


def get_remembered_image(caller: Caller, image_id: str, action: str) -> Row:
    """Return a row as ``get_image`` does, also of a deleted image if its history is allowed."""
    image = find(caller, image_id, deleted=True)
    is_deleted = image["deleted_at"] is not None
    if is_deleted and not rule_allows(caller, "get_image_history", image):
        raise missing(image_id)
    require(caller, action, image)
    return image


def missing(image_id: str) -> errors.NotFound:
    """Return the error for images that do not exist and for images that the caller does not see."""
    return errors.NotFound(f"No image found with ID {image_id}")


@cache
def _by_id(is_admin: bool, deleted: bool) -> Statement:
    # Compiled once with placeholders, because every request for an image executes it.
    roles = implied("admin" if is_admin else "reader")
    caller = Caller(user="", project=_PROJECT, roles=roles)
    images = Image.objects.all() if deleted else Image.objects.existing()
    return rows.statement(images.filter(seen_by(caller), pk=_ID))
