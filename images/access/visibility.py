"""Which images exist for a caller, and the one query that finds an image by its id."""

from __future__ import annotations

from functools import cache

from django.db.models import Exists, OuterRef, Q

from images import errors
from images.access.caller import Caller, implied
from images.access.rules import check, rule_allows
from images.models import Image, Member, rows
from images.models.rows import Row, Statement

# No project and no image has such a name.
_PROJECT, _ID = "\0project", "\0id"


def seen_by(caller: Caller) -> Q:
    """The condition under which an image exists for the caller when asked for by id."""
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


def see(caller: Caller, image_id: str, *, deleted: bool = False) -> Row:
    """The row of an image that the caller sees, whatever its key is for. One query.

    Not to be handed out for itself: it tells what a request has done that was allowed, or is
    asked further rules about. ``deleted`` finds deleted ones too. Raises NotFound.
    """
    found = []
    if caller.roles:
        sql, stand_ins = _one(caller.is_admin, deleted)
        values = {_PROJECT: caller.project, _ID: image_id}
        found = rows.fetch(sql, [values.get(name, name) for name in stand_ins])
    if not found:
        raise missing(image_id)
    image = found[0]
    # Who may not even look at it is not told that it is there.
    if not rule_allows(caller, "get_image", image):
        raise missing(image_id)
    return image


def get_image(
    caller: Caller, image_id: str, action: str = "get_image", *, deleted: bool = False
) -> Row:
    """The row of an image, for a caller who sees it and may do this. One query.

    ``deleted`` finds deleted ones too. Raises NotFound for what the caller does not see,
    Forbidden for what it may not do.
    """
    image = see(caller, image_id, deleted=deleted)
    check(caller, action, image)
    return image


def get_remembered_image(caller: Caller, image_id: str, action: str) -> Row:
    """Like ``get_image``; a deleted one too, for those who may read its history. One query."""
    image = see(caller, image_id, deleted=True)
    gone = image["deleted_at"] is not None
    if gone and not rule_allows(caller, "get_image_history", image):
        raise missing(image_id)
    check(caller, action, image)
    return image


def missing(image_id: str) -> errors.NotFound:
    """The one answer for images that do not exist and for those that are not to be seen."""
    return errors.NotFound(f"No image found with ID {image_id}")


@cache
def _one(is_admin: bool, deleted: bool) -> Statement:
    # Every request for an image asks this: the ORM makes the statement once, with stand-ins.
    roles = implied("admin" if is_admin else "reader")
    caller = Caller(user="", project=_PROJECT, roles=roles)
    images = Image.objects.all() if deleted else Image.objects.existing()
    return rows.statement(images.filter(seen_by(caller), pk=_ID))
