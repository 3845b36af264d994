"""Where an image's bytes are: copies are added by their URL, and taken away."""

from __future__ import annotations

from functools import partial

from django.conf import settings
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from images import lifecycle
from images.admin.moves import caller, require
from images.admin.places import LocationForm
from images.admin.steering import back, context, find, refusal
from images.lifecycle.location_changes import trusting
from images.models import Image, LocationStatus, Status


def add(request: HttpRequest, image_id: str) -> HttpResponse:
    """The form for one more copy, and its POST."""
    require(request, "images.add_imagelocation")
    image = find(image_id)
    form = LocationForm(request.POST or None)
    sent = request.method == "POST" and form.is_valid()
    if sent and form.bring(image.pk, caller(request)):
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
    if request.method == "POST":
        by = caller(request)
        refused = refusal(partial(lifecycle.remove_location, image.pk, location_id, by))
        return back(request, image, refused, _("The location was removed."))
    return TemplateResponse(
        request,
        "admin/images/image/location_remove.html",
        context(
            request,
            title=_("Remove a location"),
            image=image,
            location=location,
            last=held.count() == 1,
            forbidden=settings.IMAGECATALOG_LAST_LOCATION == "forbid",
        ),
    )
