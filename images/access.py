"""Who may: callers, what they see, and the default rules. Knows no HTTP and no life cycle."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from django.conf import settings
from django.db.models import Exists, OuterRef, Q

from images import errors, policy, rows
from images.models import Image, Member, Status
from images.rows import Row, Statement

# Each role includes the ones it stands for, as in Keystone.
IMPLIED = {
    "admin": frozenset({"admin", "member", "reader"}),
    "member": frozenset({"member", "reader"}),
}

DOORS = ("v1", "v2", "admin", "command", "worker")


@dataclass(frozen=True)
class Caller:
    """Somebody who asks, and through which of the DOORS."""

    user: str
    project: str | None
    roles: frozenset[str]
    door: str = ""
    request_id: str = ""
    # Names of rules, of whom signed in with a key that is for these and nothing else.
    actions: frozenset[str] | None = None

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


def implied(*roles: str) -> frozenset[str]:
    """The roles with those that they include."""
    return frozenset().union(*(IMPLIED.get(role, {role}) for role in roles))


def operator(door: str) -> Caller:
    """The one at the console, and the background worker: they may everything."""
    return Caller(user="", project=None, roles=implied("admin"), door=door)


def staff(user: str, request_id: str) -> Caller:
    """Who has signed in to the admin. What they may is asked by Django's permissions before."""
    return Caller(user, None, implied("admin"), "admin", request_id)


# What a rule looks at: the row of an image, or the attributes of one that is to be.
Target = Mapping[str, Any]
Rule = Callable[[Caller, Target], bool]


def _owns(caller: Caller, image: Target) -> bool:
    return caller.project is not None and caller.project == image["owner"]


def _admin(caller: Caller, image: Target) -> bool:
    return caller.is_admin


def _own_member(caller: Caller, image: Target) -> bool:
    return caller.is_admin or ("member" in caller.roles and _owns(caller, image))


def _own_reader(caller: Caller, image: Target) -> bool:
    return caller.is_admin or ("reader" in caller.roles and _owns(caller, image))


def _reader(caller: Caller, image: Target) -> bool:
    return "reader" in caller.roles


def _member(caller: Caller, image: Target) -> bool:
    return "member" in caller.roles


def _that_member(caller: Caller, image: Target) -> bool:
    is_it = caller.project is not None and caller.project == image.get("member_id")
    return caller.is_admin or ("member" in caller.roles and is_it)


def _service(caller: Caller, image: Target) -> bool:
    return caller.is_admin or "service" in caller.roles


def _second_copy(caller: Caller, image: Target) -> bool:
    """A second copy is handed out as the first one is: only for whom the operator trusts."""
    if settings.IMAGECATALOG_LOCATION_DATA == "trust":
        return _own_member(caller, image)
    return _service(caller, image)


# Asked about an image that the caller sees; what it does not see does not exist for it.
# The names and defaults are those of the Image API's own policy.
RULES: dict[str, Rule] = {
    "add_image": _own_member,
    "get_image": _reader,
    "get_images": _reader,
    "modify_image": _own_member,
    "delete_image": _own_member,
    "upload_image": _own_member,
    "download_image": _member,
    "download_from_store": _member,  # besides, when stores are preferred
    "deactivate": _own_member,
    "reactivate": _own_member,
    "publicize_image": _admin,
    "communitize_image": _own_member,
    "change_owner": _admin,
    "download_deactivated": _admin,
    "get_image_location": _own_reader,
    "set_image_location": _own_member,
    "copy_from": _own_member,
    "delete_image_location": _admin,
    "get_members": _reader,
    "get_member": _reader,
    "add_member": _own_member,
    "delete_member": _own_member,
    "modify_member": _that_member,  # asked with the member's id as "member_id"
    "add_location_to_active": _second_copy,
    # Our own, for what the Image API does not have, or has no name for.
    "get_other_members": _own_reader,
    "get_image_history": _own_reader,
    "restore_image": _admin,
}


def may(caller: Caller, action: str, image: Target) -> bool:
    """Does the rule of this name allow it?"""
    return key_allows(caller, action) and _rule_allows(caller, action, image)


def key_allows(caller: Caller, action: str) -> bool:
    """Is the key for it that the caller signed in with? All others are for everything."""
    return caller.actions is None or action in caller.actions


def _rule_allows(caller: Caller, action: str, image: Target) -> bool:
    """Whatever the key is for that the caller signed in with."""
    rule = overrides().get(action) or RULES[action]
    return rule(caller, image)


def overrides() -> Mapping[str, Rule]:
    """What IMAGECATALOG_POLICY_FILE changes. Raises ImproperlyConfigured."""
    return _overrides(settings.IMAGECATALOG_POLICY_FILE)


@cache
def _overrides(path: str) -> Mapping[str, Rule]:
    return policy.overrides(path, RULES)


def check(caller: Caller, action: str, image: Target) -> None:
    """Raise Forbidden unless the rule of this name allows it."""
    if not may(caller, action, image):
        raise errors.Forbidden(f"You are not authorized to complete {action} action.")


def new_image(
    fields: Mapping[str, Any], properties: Mapping[str, str], tags: Sequence[str]
) -> Target:
    """What rules look at when an image is to be made of this."""
    return rows.row_of(Image(**fields, properties=properties, tags=tags))


def check_download(caller: Caller, image: Target) -> None:
    """Raise Forbidden when the data is withheld from the caller.

    Who may download at all is the rule ``download_image``.
    """
    withheld = image["status"] == Status.DEACTIVATED
    if withheld and not may(caller, "download_deactivated", image):
        raise errors.Forbidden(
            "The requested image has been deactivated. "
            "Image data download is forbidden."
        )


def check_visibility(caller: Caller, image: Target, wanted: str | None) -> None:
    """Raise Forbidden when the caller may not make the image so; None: it stays as it is."""
    if wanted == "public":
        check(caller, "publicize_image", image)
    if wanted == "community":
        check(caller, "communitize_image", image)


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
    if not _rule_allows(caller, "get_image", image):
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
    if gone and not _rule_allows(caller, "get_image_history", image):
        raise missing(image_id)
    check(caller, action, image)
    return image


def missing(image_id: str) -> errors.NotFound:
    """The one answer for images that do not exist and for those that are not to be seen."""
    return errors.NotFound(f"No image found with ID {image_id}")


# No project and no image can be called so.
_PROJECT, _ID = "\0project", "\0id"


@cache
def _one(is_admin: bool, deleted: bool) -> Statement:
    # Every request for an image asks this: the ORM makes the statement once, with stand-ins.
    roles = implied("admin" if is_admin else "reader")
    caller = Caller(user="", project=_PROJECT, roles=roles)
    images = Image.objects.all() if deleted else Image.objects.existing()
    return rows.statement(images.filter(seen_by(caller), pk=_ID))
