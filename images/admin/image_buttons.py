"""The buttons of the actions on an image that are possible now, and why the others are not."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from images.admin import (
    image_data,
    image_download,
    list_state,
    transfer_views,
    upload,
)
from images.admin.actions import availability, may
from images.models import Image, ImageLocation


@dataclass(frozen=True)
class Button:
    """A link to the page of an action. ``tone`` is ``dangerous`` for an action that deletes."""

    label: Any
    url: str
    tone: str = ""


@dataclass(frozen=True)
class Refused:
    """An action that is not possible now, and the reason."""

    label: Any
    reason: str


def may_edit(request: HttpRequest, image: Image) -> bool:
    """Return whether this user can edit an image now. Deleted images cannot be edited."""
    return may(request, "images.change_image") and image.deleted_at is None


def of(
    request: HttpRequest, image: Image, locations: Sequence[ImageLocation]
) -> dict[str, Any]:
    """Return the template context of an image's buttons: those allowed now, and the refused actions.

    ``cancels`` is whether one of the buttons cancels the transfer of the image. At most two queries.
    ``locations`` are those of the image.
    """
    found = availability(request, image)
    own = [
        Button(label, list_state.image_url(request, image.pk, name))
        for label, name in _own(request, image, locations)
    ]
    moves = [
        Button(
            action.label,
            list_state.image_url(request, image.pk, "move", action.verb),
            "dangerous" if action.dangerous else "",
        )
        for action in (it.action for it in found if not it.refusal)
    ]
    refused = [Refused(it.action.label, it.refusal) for it in found if it.refusal]
    if no_download := image_download.refusal(request, image):
        refused.insert(0, Refused(_("Download"), no_download))
    cancels = any(it.action.verb == "fail" and not it.refusal for it in found)
    return {"buttons": [*own, *moves], "refused": refused, "cancels": cancels}


def _own(
    request: HttpRequest, image: Image, locations: Sequence[ImageLocation]
) -> Iterator[tuple[str, str]]:
    """Yield (label, name of the URL) of each possible action outside the life cycle, such as "Edit"."""
    if label := upload.link(request, image):
        yield label, "upload"
    if transfer_views.may_import(request, image):
        yield _("Import from a URL"), "import"
    if not image_download.refusal(request, image):
        yield _("Download"), "download"
    if may_edit(request, image):
        yield _("Edit"), "edit"
    if transfer_views.may_copy(request, image, locations):
        yield _("Copy to another store"), "copy"
    if image_data.can_add_location(request, image):
        yield _("Add a location"), "add_location"
