"""Levels of access to the admin: nothing, the permissions of one group, or everything.

A level stands for Django's flags for staff and superusers, groups and single permissions. A user
with another combination of these has the level CUSTOM.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.contrib.auth.models import Group
from django.db import transaction
from django.utils.text import capfirst
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from imagecatalog.identity import sign_in_log
from imagecatalog.identity.origin import Origin

NONE: Final = "none"
SUPERUSER: Final = "superuser"
CUSTOM: Final = "custom"
DESCRIPTIONS: Final[Mapping[str, Any]] = {
    "viewer": gettext_lazy("can see images"),
    "operator": gettext_lazy("can also deactivate, reactivate and restore images"),
    "catalogue manager": gettext_lazy("can also add, change, share and delete images"),
}


def level(user: Any) -> str:
    """Return the level of a user: NONE, SUPERUSER, CUSTOM or ``group:`` with a group's id.

    The user's groups and single permissions are read, from the prefetched rows if there are any.
    """
    if not user.is_staff:
        return CUSTOM if user.is_superuser else NONE
    if user.is_superuser:
        return SUPERUSER
    groups = user.groups.all()
    if len(groups) != 1 or user.user_permissions.all():
        return CUSTOM
    return _of_group(groups[0])


def describe(user: Any) -> str:
    """Return the level of a user as text; for CUSTOM also the user's groups and permissions."""
    found = level(user)
    if found == NONE:
        return _("None")
    if found == SUPERUSER:
        return _("Superuser")
    names: list[str] = [capfirst(group.name) for group in user.groups.all()]
    if found != CUSTOM:
        return names[0]
    if user.is_superuser:
        names.append(_("superuser who is not staff"))
    if count := len(user.user_permissions.all()):
        text = ngettext(
            "%(count)d single permission", "%(count)d single permissions", count
        )
        names.append(text % {"count": count})
    return _("Custom: %(rights)s") % {"rights": ", ".join(names) or _("nothing")}


def choices() -> list[tuple[str, str]]:
    """Return the levels that a user can be given, as (value, label). One query."""
    groups = sorted(Group.objects.all(), key=_rank)
    return [
        (NONE, _("None – cannot sign in to the admin")),
        *((_of_group(group), _label(group)) for group in groups),
        (SUPERUSER, _("Superuser – can do everything, also manage users")),
    ]


def set_level(user: Any, wanted: str, origin: Origin) -> None:
    """Give a user a level, and record that in the sign-in log. CUSTOM changes nothing.

    Other groups and single permissions of the user are removed. ``wanted`` is one of ``choices``.
    """
    if wanted == CUSTOM:
        return
    groups = [group for group in Group.objects.all() if _of_group(group) == wanted]
    user.is_staff, user.is_superuser = wanted != NONE, wanted == SUPERUSER
    with transaction.atomic():
        user.save(update_fields=["is_staff", "is_superuser"])
        user.groups.set(groups)
        user.user_permissions.clear()
        record(user, origin)


def record(user: Any, origin: Origin) -> None:
    """Record in the sign-in log which groups and flags a user has now."""
    sign_in_log.record(
        "groups_change",
        user.get_username(),
        origin,
        groups=sorted(user.groups.values_list("name", flat=True)),
        is_staff=user.is_staff,
        is_superuser=user.is_superuser,
    )


def _of_group(group: Group) -> str:
    return f"group:{group.pk}"


def _label(group: Group) -> str:
    description = DESCRIPTIONS.get(group.name)
    name = capfirst(group.name)
    return f"{name} – {description}" if description else name


def _rank(group: Group) -> tuple[int, str]:
    """Return the sort key of a group: first the groups in DESCRIPTIONS, then the others by name."""
    names = list(DESCRIPTIONS)
    known = names.index(group.name) if group.name in names else len(names)
    return known, group.name
