"""Views for the locations of an image: add a location by URL, or remove one."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.http import Http404, HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from images import lifecycle
from images.admin import formatting
from images.admin.actions import get_caller, require
from images.admin.shortcuts import (
    ReasonForm,
    context,
    get_image_or_404,
    redirect_to_image,
    try_verb,
)
from images.admin.url_forms import LocationForm
from images.lifecycle.location_preparation import trusts_owners
from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    Status,
)
from images.stores import HTTP


def add(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the form for adding a location to an image; a POST adds the location."""
    require(request, "images.add_imagelocation")
    image = get_image_or_404(image_id)
    sent = request.POST if request.method == "POST" else None
    form, reason = LocationForm(sent), ReasonForm(sent, first=False)
    # A list, not a generator: both forms must be validated to show their errors.
    valid = all([form.is_valid(), reason.is_valid()])
    if valid and form.apply(
        image.pk, get_caller(request), reason.cleaned_data["reason"]
    ):
        return redirect_to_image(request, image, "", _("The location was added."))
    return TemplateResponse(
        request,
        "admin/images/image/location_add.html",
        context(
            request,
            title=_("Add a location"),
            image=image,
            form=form,
            reason=reason,
            outcome=_outcome(image),
        ),
    )


def _outcome(image: Image) -> str:
    if image.status == Status.QUEUED and trusts_owners():
        return _("The image has no data. Its first location makes it active.")
    if image.status == Status.QUEUED:
        return _(
            "The image has no data. Its first location makes it active, once its data is "
            "read and checked."
        )
    if trusts_owners():
        return _(
            "Adds a copy. The data must be the same as the image's; a digest that you "
            "enter is trusted."
        )
    return _(
        "Adds a copy. The data must be the same as the image's: it is read once and "
        "compared."
    )


def remove(request: HttpRequest, image_id: str, location_id: int) -> HttpResponse:
    """Show the confirmation page for removing a location; a POST removes the location."""
    require(request, "images.delete_imagelocation")
    image = get_image_or_404(image_id)
    locations = image.locations.filter(status=LocationStatus.ACTIVE)
    location = locations.filter(pk=location_id).first()
    if location is None:
        raise Http404(_("The image has no such location."))
    reason = ReasonForm(request.POST if request.method == "POST" else None)
    if reason.is_valid():
        actor, text = get_caller(request), reason.cleaned_data["reason"]
        refused = try_verb(
            partial(lifecycle.remove_location, image.pk, location_id, actor, text)
        )
        return redirect_to_image(
            request, image, refused, _("The location was removed.")
        )
    last = locations.count() == 1
    forbidden = settings.IMAGECATALOG_LAST_LOCATION == "forbid"
    return TemplateResponse(
        request,
        "admin/images/image/location_remove.html",
        context(
            request,
            title=_("Remove a location"),
            image=image,
            location=location,
            reason=reason,
            last=last,
            forbidden=forbidden,
            size=_deleted_size(image, location) if not (last and forbidden) else "",
        ),
    )


def _deleted_size(image: Image, location: ImageLocation) -> str:
    """Return as text the size of the data that is deleted when a location is removed.

    Empty for a location on an external web server, where the data remains.
    """
    return formatting.amount(image.size or 0) if location.store != HTTP.id else ""
