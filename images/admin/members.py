"""The projects with which an image is shared, and a failed copy that is tried again.

Small forms on the page of an image; each is one POST.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST

from images import errors, lifecycle, sharing
from images.access import Caller
from images.admin.moves import caller, may
from images.admin.steering import find
from images.attributes import Changes
from images.lifecycle import Source
from images.models import Image, MemberStatus, Status, Transfer, TransferStatus


def _set(status: str, image_id: str, project: str, by: Caller) -> None:
    sharing.set_status(image_id, project, status, by)


# In the address -> (permission, verb, what is said)
CHANGES: Mapping[str, tuple[str, Callable[[str, str, Caller], Any], Any]] = {
    "add": ("images.add_member", sharing.add, gettext_lazy("It is shared now.")),
    "remove": (
        "images.delete_member",
        sharing.remove,
        gettext_lazy("It is not shared with that project any more."),
    ),
    **{
        status: (
            "images.change_member",
            partial(_set, status),
            gettext_lazy("The state of the member was changed."),
        )
        for status in MemberStatus.values
    },
}


@require_POST
def change(request: HttpRequest, image_id: str, what: str) -> HttpResponse:
    """Add or remove the member ``project``, or set its status."""
    if what not in CHANGES:
        raise Http404(_("There is no such change."))
    permission, verb, said = CHANGES[what]
    _check(request, permission)
    image = find(image_id)
    project = request.POST.get("project", "").strip()
    sentence = _refusal(partial(verb, image.pk, project, caller(request)))
    return _back(request, image, sentence, said)


@require_POST
def retry(request: HttpRequest, image_id: str, transfer_id: UUID) -> HttpResponse:
    """Fetch once more what a failed copy was to fetch."""
    _check(request, "images.upload_image")
    image = find(image_id)
    failed = image.transfers.filter(status=TransferStatus.FAILED).exclude(source="")
    transfer = failed.filter(pk=transfer_id).first()
    if transfer is None:
        raise Http404(_("There is no copy that could be tried again."))
    sentence = _refusal(partial(_again, image, transfer, caller(request)))
    return _back(request, image, sentence, _("It is tried again."))


def _again(image: Image, transfer: Transfer, by: Caller) -> None:
    source = Source(
        transfer.source,
        transfer.bytes_expected,
        transfer.checksum,
        transfer.store,
        Status(transfer.resting_status),
    )
    lifecycle.copy(image.pk, source, Changes(), by)


def _refusal(verb: Callable[[], Any]) -> str:
    """Do it; why it was refused, or nothing."""
    try:
        verb()
    except errors.ImageError as error:
        return str(error)
    return ""


def _back(request: HttpRequest, image: Image, refusal: str, said: Any) -> HttpResponse:
    level = messages.ERROR if refusal else messages.SUCCESS
    messages.add_message(request, level, refusal or said)
    return redirect("admin:images_image_change", image.pk)


def _check(request: HttpRequest, permission: str) -> None:
    if not may(request, "images.view_image") or not may(request, permission):
        raise PermissionDenied
