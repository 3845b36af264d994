"""Permissions for families: the families that a caller finds, and the actions that it is allowed."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from images import errors
from images.access.caller import Caller
from images.access.rules import Target, check_shown, shown
from images.attributes import parse_uuid
from images.models import Family, FamilyScope

SHOW = "get_family"


def seen_families(caller: Caller) -> QuerySet[Family]:
    """Return the families that a caller can see: public ones and those of its project.

    Admins see all of them. Rules are not checked, so the policy file has no effect here.
    """
    families = Family.objects.all()
    if caller.is_admin:
        return families
    if "reader" not in caller.roles:
        return families.none()
    return families.filter(Q(owner=caller.project) | Q(scope=FamilyScope.PUBLIC))


def shown_families(caller: Caller, page: Sequence[Family]) -> list[Family]:
    """Return the families of ``page`` that the policy file does not hide from the caller."""
    return shown(caller, page, SHOW, family_target)


def get_family(caller: Caller, ref: str, *actions: str, lock: bool = False) -> Family:
    """Return a family, after checking that the caller is allowed all ``actions`` on it.

    ``ref`` is an id or a name: a name means the family of the caller's project, else the public
    one, else, for admins, the only one of this name. Without ``actions``, only the permission to
    see the family is checked. With ``lock`` the row is locked until the end of the transaction.
    Raises NotFound if the caller cannot see the family, Forbidden if an action is not allowed,
    and Conflict if several projects have a family of this name.
    """
    family = _find(caller, ref)
    if lock:
        locked = Family.objects.select_for_update().filter(pk=family.pk).first()
        if locked is None:
            raise missing_family(ref)
        family = locked
    target = family_target(family)
    check_shown(caller, target, SHOW, missing_family(ref), *(actions or (SHOW,)))
    return family


def _find(caller: Caller, ref: str) -> Family:
    seen = seen_families(caller)
    if family_id := parse_uuid(ref):
        named = list(seen.filter(pk=family_id))
    else:
        named = list(seen.filter(name=ref))
    own = [family for family in named if family.owner == caller.project]
    public = [family for family in named if family.scope == FamilyScope.PUBLIC]
    if len(named) > 1 and not (own or public):
        raise errors.Conflict(
            f"{len(named)} projects have a family {ref}. Use the id of the family."
        )
    for families in (own, public, named):
        if families:
            return families[0]
    raise missing_family(ref)


def family_target(family: Family) -> Target:
    """Return the values of a family against which rules are checked."""
    visibility = "public" if family.scope == FamilyScope.PUBLIC else "private"
    return {"owner": family.owner, "visibility": visibility, "name": family.name}


def missing_family(ref: str) -> errors.NotFound:
    """Return the error for a family that does not exist or that the caller cannot see."""
    return errors.NotFound(f"There is no family {ref[:100]}.")
