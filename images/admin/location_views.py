"""Where an image's bytes are: copies are added by their URL, fetched again, and taken away."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from images import lifecycle
from images.access import Caller
from images.admin.actions import get_caller, require
from images.admin.shortcuts import ReasonForm, back, context, find, refusal
from images.admin.url_forms import LocationForm
from images.attributes import Changes
from images.lifecycle import Source
from images.lifecycle.location_changes import trusting
from images.models import Image, LocationStatus, Status, Transfer, TransferStatus


def add(request: HttpRequest, image_id: str) -> HttpResponse:
    """The form for one more copy, and its POST."""
    require(request, "images.add_imagelocation")
    image = find(image_id)
    sent = request.POST if request.method == "POST" else None
    form, why = LocationForm(sent), ReasonForm(sent, first=False)
    # Both are asked, or only one of them would say what is wrong.
    valid = all([form.is_valid(), why.is_valid()])
    if valid and form.bring(image.pk, get_caller(request), why.cleaned_data["reason"]):
        messages.success(request, _("The location was added."))
        return redirect("admin:images_image_change", image.pk)
    return TemplateResponse(
        request,
        "admin/images/image/location_add.html",
        context(
            request,
            title=_("Add a location"),
            image=image,
            form=form,
            why=why,
            outcome=_outcome(image),
        ),
    )


def _outcome(image: Image) -> str:
    if image.status == Status.QUEUED:
        return _("The image has no data: its first location makes it active.")
    if trusting():
        return _(
            "One more copy. The data there must be the same; a digest that is given "
            "for it is believed."
        )
    return _(
        "One more copy. The data there must be the same; it is read once and compared."
    )


def remove(request: HttpRequest, image_id: str, location_id: int) -> HttpResponse:
    """The page that says what will happen, and the POST that does it."""
    require(request, "images.delete_imagelocation")
    image = find(image_id)
    held = image.locations.filter(status=LocationStatus.ACTIVE)
    location = held.filter(pk=location_id).first()
    if location is None:
        raise Http404(_("The image has no such location."))
    why = ReasonForm(request.POST if request.method == "POST" else None)
    if why.is_valid():
        actor, reason = get_caller(request), why.cleaned_data["reason"]
        refused = refusal(
            partial(lifecycle.remove_location, image.pk, location_id, actor, reason)
        )
        return back(request, image, refused, _("The location was removed."))
    return TemplateResponse(
        request,
        "admin/images/image/location_remove.html",
        context(
            request,
            title=_("Remove a location"),
            image=image,
            location=location,
            why=why,
            last=held.count() == 1,
            forbidden=settings.IMAGECATALOG_LAST_LOCATION == "forbid",
        ),
    )


@require_POST
def retry(request: HttpRequest, image_id: str, transfer_id: UUID) -> HttpResponse:
    """Fetch once more what a failed copy was to fetch."""
    require(request, "images.upload_image")
    image = find(image_id)
    failed = image.transfers.filter(status=TransferStatus.FAILED).exclude(source="")
    transfer = failed.filter(pk=transfer_id).first()
    if transfer is None:
        raise Http404(_("There is no copy that could be tried again."))
    refused = refusal(partial(_again, image, transfer, get_caller(request)))
    return back(request, image, refused, _("It is tried again."))


def _again(image: Image, transfer: Transfer, actor: Caller) -> None:
    # Without the size: it is what the web server told, of a file that may have changed since.
    source = Source(
        transfer.source,
        checksum=transfer.checksum,
        store_id=transfer.store,
        status_on_failure=Status(transfer.status_on_failure),
    )
    lifecycle.request_fetch(image.pk, source, Changes(), actor)
