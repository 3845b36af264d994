"""Sentences and permissions for the page "Sharing" of an image, which shows who can use it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext_lazy, ngettext

from images.admin.actions import may
from images.models import Image, MemberStatus


def rights(request: HttpRequest, image: Image) -> dict[str, Any]:
    """Return the template context that says which changes of members this user can make now."""
    exists = image.deleted_at is None
    shared = image.visibility == "shared" and exists
    return {
        "adding_members": shared and may(request, "images.add_member"),
        "changing_members": shared and may(request, "images.change_member"),
        "removing_members": exists and may(request, "images.delete_member"),
        "member_statuses": MemberStatus.choices,
    }


def seen_by(visibility: str) -> str:
    """Return a sentence on which projects see an image of this visibility."""
    return str(_SEEN_BY[visibility])


def without_effect(visibility: str, count: int) -> str:
    """Return a sentence on the ``count`` members of an image that is not shared.

    It says that they have no effect; empty if the image is shared or has no members.
    """
    if visibility == "shared" or not count:
        return ""
    sentence = ngettext(
        "The image is %(visibility)s: its %(count)d membership has no effect. It is kept, and "
        "counts again when the image is shared.",
        "The image is %(visibility)s: its %(count)d memberships have no effect. They are kept, "
        "and count again when the image is shared.",
        count,
    )
    return sentence % {"visibility": visibility, "count": count}


_SEEN_BY: Mapping[str, Any] = {
    "private": gettext_lazy("Only its own project sees the image."),
    "shared": gettext_lazy(
        "Its own project sees the image. The projects below can use it; their lists show it once "
        "they, or an administrator, have accepted it."
    ),
    "community": gettext_lazy(
        "Every project can use the image, but lists omit it unless a client asks for it."
    ),
    "public": gettext_lazy("Every project sees the image."),
}
