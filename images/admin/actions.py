"""The actions that staff users can run on images: their labels, permissions and conditions.

The life cycle decides for which statuses an action is possible. Each action needs one of Django's
permissions.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.core.exceptions import PermissionDenied
from django.db.models import Q
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images.access import Caller, staff
from images.bulk.verbs import VERBS, Verb
from images.lifecycle.family_members import current_images, current_in
from images.models import EDGES, Image


@dataclass(frozen=True)
class Action:
    """An action that staff users can run on one or many images, such as delete or restore."""

    verb: str  # of images.bulk.verbs
    label: Any  # translated when it is shown
    not_possible: Any  # shown for images in other statuses
    transitions: tuple[str, ...]  # the transitions that the verb follows
    dangerous: bool = False

    @property
    def run(self) -> Verb:
        """The function that runs the action on one image."""
        return VERBS[self.verb]

    @property
    def permission(self) -> str:
        """The Django permission that the action needs, e.g. ``images.delete_image``."""
        return f"images.{self.verb}_image"

    @property
    def sources(self) -> set[str]:
        """The statuses of images for which the action is possible."""
        return {edge.source for edge in EDGES if edge.name in self.transitions}


ACTIONS: Mapping[str, Action] = {
    action.verb: action
    for action in (
        Action(
            "deactivate",
            gettext_lazy("Deactivate"),
            gettext_lazy("Only active images can be deactivated."),
            ("mark_deactivated",),
        ),
        Action(
            "reactivate",
            gettext_lazy("Reactivate"),
            gettext_lazy("Only deactivated images can be reactivated."),
            ("mark_reactivated",),
        ),
        Action(
            "fail",
            gettext_lazy("Cancel transfer"),
            gettext_lazy(
                "Only saving, uploading or importing images have a transfer to cancel."
            ),
            ("mark_requeued",),
        ),
        Action(
            "restore",
            gettext_lazy("Restore"),
            gettext_lazy("Only images in the trash can be restored."),
            ("mark_restored",),
        ),
        Action(
            "delete",
            gettext_lazy("Delete"),
            gettext_lazy("The image is already deleted."),
            ("mark_pending_delete", "mark_deleted"),
            dangerous=True,
        ),
        Action(
            "scrub",
            gettext_lazy("Delete permanently"),
            gettext_lazy("Only images in the trash can be deleted by this action."),
            ("mark_scrubbed",),
            dangerous=True,
        ),
    )
}


UNDO: Mapping[str, str] = {  # verb -> the verb that undoes it
    "delete": "restore",
    "deactivate": "reactivate",
    "reactivate": "deactivate",
}


@dataclass(frozen=True)
class Availability:
    """An action on one image, and the reason ``refusal`` why it cannot be run now (empty if it can)."""

    action: Action
    refusal: str = ""


def availability(request: HttpRequest, image: Image) -> list[Availability]:
    """Return all actions for an image, each with the reason if this user cannot run it now."""
    return [
        Availability(action, _refusal(request, action, image))
        for action in ACTIONS.values()
    ]


def _refusal(request: HttpRequest, action: Action, image: Image) -> str:
    if reason := not_possible(action, image):
        return reason
    if not may(request, action.permission):
        return _("Your role does not allow this action.")
    return ""


_PROTECTED = gettext_lazy("The image is protected. Remove the protection first.")
_CURRENT = gettext_lazy(
    "The image is the current one of its family. Promote another version first."
)


def not_possible(action: Action, image: Image) -> str:
    """Return the reason why an action is not possible for an image; empty if it is possible.

    The user's permissions are not considered.
    """
    if image.status not in action.sources:
        return str(action.not_possible)
    if action.verb == "delete" and image.protected:
        return str(_PROTECTED)
    if action.verb == "delete" and (family := current_in(image)):
        return _(
            "The image is the current one of family %(name)s. Promote another version first."
        ) % {"name": family.name}
    return ""


def conditions(action: Action) -> list[tuple[Q, Any]]:
    """Return the checks of ``not_possible`` as query conditions, each with the reason if it fails.

    An action is possible for the images that meet all conditions. The reason for another image is
    that of the first condition that it does not meet.
    """
    found: list[tuple[Q, Any]] = [(Q(status__in=action.sources), action.not_possible)]
    if action.verb == "delete":
        found += [(Q(protected=False), _PROTECTED), (~current_images(), _CURRENT)]
    return found


def may(request: HttpRequest, permission: str) -> bool:
    """Return whether the user of the request has a permission, e.g. ``images.delete_image``."""
    return bool(request.user.has_perm(permission))


def require(request: HttpRequest, *permissions: str) -> None:
    """Raise PermissionDenied unless the user can view images and has these permissions.

    The argument of the exception is the name of the permission that is missing.
    """
    for name in ("images.view_image", *permissions):
        if not may(request, name):
            raise PermissionDenied(name)


def get_caller(request: HttpRequest) -> Caller:
    """Return the signed-in user as a Caller with the role ``admin``. Checks no permission."""
    return staff(request.user.get_username(), request.request_id)  # type: ignore[attr-defined]
