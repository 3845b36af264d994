"""The predefined roles of the admin, as groups of Django's permissions."""

from __future__ import annotations

from typing import Any

from django.contrib.auth.models import Group, Permission

VIEWER = ("view_image",)
OPERATOR = (
    *VIEWER,
    "deactivate_image",
    "reactivate_image",
    "fail_image",
    "restore_image",
    "promote_family",
    "cancel_job",
)
MANAGER = (
    *OPERATOR,
    "add_image",
    "change_image",
    "delete_image",
    "scrub_image",
    "upload_image",
    "download_image",
    "add_imagelocation",
    "delete_imagelocation",
    "add_member",
    "change_member",
    "delete_member",
    "add_family",
    "change_family",
    "delete_family",
    "add_retentionpolicy",
    "change_retentionpolicy",
    "delete_retentionpolicy",
    "run_retentionpolicy",
)
ROLES = {"viewer": VIEWER, "operator": OPERATOR, "catalogue manager": MANAGER}


def ensure(**signal: Any) -> None:
    """Create the predefined groups that are missing. Receives Django's signal post_migrate.

    Groups that exist are not changed.
    """
    known = set(Group.objects.values_list("name", flat=True))
    for name, codenames in ROLES.items():
        if name not in known:
            group = Group.objects.create(name=name)
            permissions = Permission.objects.filter(content_type__app_label="images")
            group.permissions.set(permissions.filter(codename__in=codenames))


def having(permission: str) -> list[str]:
    """Return the names of the groups with a permission of this app, such as ``images.scrub_image``."""
    codename = permission.removeprefix("images.")
    if codename == permission:  # another app's, or no permission at all
        return []
    groups = Group.objects.filter(
        permissions__codename=codename, permissions__content_type__app_label="images"
    )
    return list(groups.order_by("name").values_list("name", flat=True))
