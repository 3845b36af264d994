"""The ways along the life cycle that people go by hand: what each is called, does and needs.

What is possible is said by lifecycle; who may is one of Django's permissions for each move.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors, lifecycle
from images.access import Caller, staff
from images.admin import formatting
from images.models import EDGES, Image
from images.operations import manual_transitions

Verb = Callable[[str, Caller, str], None]


@dataclass(frozen=True)
class Action:
    """One verb of lifecycle, as a button and as an action on many."""

    verb: str
    run: Verb
    label: Any  # translated when it is shown
    done: Any  # what is said afterwards
    edges: tuple[str, ...]  # the transitions that it goes along
    dangerous: bool = False

    @property
    def permission(self) -> str:
        return f"images.{self.verb}_image"

    @property
    def consequence(self) -> str:
        """What it will do, for who is about to do it."""
        if self.verb == "delete" and not settings.IMAGECATALOG_DELAYED_DELETE:
            return _("It is deleted for good, at once, and its data with it.")
        kept = formatting.duration(settings.IMAGECATALOG_SCRUB_TIME)
        return str(CONSEQUENCES[self.verb]) % {"kept": kept}

    @property
    def sources(self) -> set[str]:
        """The statuses from which there is such an edge."""
        return {edge.source for edge in EDGES if edge.name in self.edges}


_DEACTIVATE = gettext_lazy(
    "Only admins can download it from now on. Its data stays where it is."
)
_REACTIVATE = gettext_lazy("Everybody who may see it can download it again.")
_FAIL = gettext_lazy(
    "Whatever is bringing data in is ended, and what has arrived of it is removed. "
    "The image returns to rest; its data can be brought in again."
)
_RESTORE = gettext_lazy(
    "It comes back in the status that it had, with all its data, properties, tags and "
    "members."
)
_DELETE = gettext_lazy(
    "With data it goes to the trash, from where it can be restored for %(kept)s. Without "
    "data it is gone for good. What is bringing data in is ended."
)
_SCRUB = gettext_lazy(
    "It is deleted for good, now. Its data is removed from every store that has it, and "
    "nothing brings it back."
)
CONSEQUENCES: Mapping[str, Any] = {
    "deactivate": _DEACTIVATE,
    "reactivate": _REACTIVATE,
    "fail": _FAIL,
    "restore": _RESTORE,
    "delete": _DELETE,
    "scrub": _SCRUB,
}

ACTIONS: Mapping[str, Action] = {
    move.verb: move
    for move in (
        Action(
            "deactivate",
            lifecycle.deactivate,
            gettext_lazy("Deactivate"),
            gettext_lazy("deactivated"),
            ("mark_deactivated",),
        ),
        Action(
            "reactivate",
            lifecycle.reactivate,
            gettext_lazy("Reactivate"),
            gettext_lazy("reactivated"),
            ("mark_reactivated",),
        ),
        Action(
            "fail",
            manual_transitions.fail,
            gettext_lazy("End transfer"),
            gettext_lazy("returned to rest"),
            ("mark_requeued",),
        ),
        Action(
            "restore",
            lifecycle.restore,
            gettext_lazy("Restore"),
            gettext_lazy("restored"),
            ("mark_restored",),
        ),
        Action(
            "delete",
            lifecycle.delete,
            gettext_lazy("Delete"),
            gettext_lazy("deleted"),
            ("mark_pending_delete", "mark_deleted"),
            dangerous=True,
        ),
        Action(
            "scrub",
            lifecycle.scrub,
            gettext_lazy("Scrub now"),
            gettext_lazy("deleted for good"),
            ("mark_scrubbed",),
            dangerous=True,
        ),
    )
}


@dataclass(frozen=True)
class Offer:
    """A move as it is offered for one image; ``refusal`` says why it is not possible."""

    move: Action
    refusal: str = ""


def offers(request: HttpRequest, image: Image) -> list[Offer]:
    """Every move, each with the reason why not, for this image and this user."""
    return [Offer(move, _refusal(request, move, image)) for move in ACTIONS.values()]


def _refusal(request: HttpRequest, move: Action, image: Image) -> str:
    if image.status not in move.sources:
        return _("Possible when the image is %(sources)s; it is %(status)s.") % {
            "sources": _either([formatting.status(it) for it in sorted(move.sources)]),
            "status": formatting.status(image.status),
        }
    if move.verb == "delete" and image.protected:
        return _("The image is protected. Take the protection off first.")
    if not may(request, move.permission):
        return _("Your role does not include this.")
    return ""


def _either(statuses: list[str]) -> str:
    *some, last = statuses
    if not some:
        return last
    return _("%(some)s or %(last)s") % {"some": ", ".join(some), "last": last}


def may(request: HttpRequest, permission: str) -> bool:
    """Is the user of the request permitted, e.g. ``images.delete_image``?"""
    return bool(request.user.has_perm(permission))


def require(request: HttpRequest, *permissions: str) -> None:
    """To see images, and these. Raises PermissionDenied."""
    if not all(may(request, it) for it in ("images.view_image", *permissions)):
        raise PermissionDenied


def get_caller(request: HttpRequest) -> Caller:
    """The signed-in user, for lifecycle and the history. Who may was asked before."""
    return staff(request.user.get_username(), request.request_id)  # type: ignore[attr-defined]


@dataclass
class Report:
    """What became of each image."""

    done: list[str]  # ids
    refused: dict[str, str]  # id -> why


def run(move: Action, ids: Iterable[str], actor: Caller, reason: str) -> Report:
    """Do it for each image; what is refused does not keep the others from it."""
    report = Report([], {})
    for image_id in ids:
        try:
            move.run(image_id, actor, reason)
        except errors.ImageError as error:
            report.refused[image_id] = str(error)
        else:
            report.done.append(image_id)
    return report
