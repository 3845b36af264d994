"""Where an image's bytes are: copies are added by their URL, and taken away."""

from __future__ import annotations

from typing import Any

from django import forms
from django.conf import settings
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors, lifecycle
from images.access import Caller
from images.admin.moves import caller, may
from images.admin.steering import context, find
from images.lifecycle import AddLocation
from images.lifecycle.location_changes import MAX_URL
from images.models import Image, ImageLocation, LocationStatus
from images.stores import urlfilter


class LocationForm(forms.Form):
    """A URL, and what the data there is known to be."""

    url = forms.CharField(
        label=gettext_lazy("URL"),
        max_length=MAX_URL,
        widget=forms.URLInput(attrs={"placeholder": "https://", "autofocus": True}),
        help_text=gettext_lazy(
            "http or https, of a public address or one that the operator has allowed. The "
            "data stays there; it is asked for each time that the image is read."
        ),
    )
    algorithm = forms.ChoiceField(
        label=gettext_lazy("Digest"),
        required=False,
        choices=[("", gettext_lazy("none is known"))]
        + [(name, name) for name in ("sha512", "sha384", "sha256")],
        help_text=gettext_lazy(
            "Where one is given, the data is read once and must match."
        ),
    )
    digest = forms.CharField(
        label=gettext_lazy("Its value"),
        max_length=128,
        required=False,
        widget=forms.TextInput(attrs={"class": "vLargeTextField"}),
    )

    def clean(self) -> dict[str, Any]:
        given = self.cleaned_data
        if bool(given.get("algorithm")) != bool(given.get("digest")):
            raise forms.ValidationError(
                _("A digest needs its algorithm, and its value.")
            )
        if "url" in given:
            self.change = self._parsed(given)
        return given

    def _parsed(self, given: dict[str, Any]) -> AddLocation:
        document: dict[str, Any] = {"url": given["url"]}
        if given.get("digest"):
            document["validation_data"] = {
                "os_hash_algo": given["algorithm"],
                "os_hash_value": given["digest"].strip(),
            }
        try:
            urlfilter.check(given["url"])
            return AddLocation.parse(document)
        except errors.ImageError as error:
            raise forms.ValidationError(str(error)) from None


def attempt(image: Image, form: LocationForm, by: Caller) -> bool:
    """Add the location of a valid form; False: the form says why it was not."""
    try:
        lifecycle.add_location(image.pk, form.change, by)
    except errors.ImageError as error:
        form.add_error(None, str(error))
        return False
    return True


def add(request: HttpRequest, image_id: str) -> HttpResponse:
    """The form for one more copy, and its POST."""
    _check(request, "images.add_imagelocation")
    image = find(image_id)
    form = LocationForm(request.POST or None)
    sent = request.method == "POST" and form.is_valid()
    if sent and attempt(image, form, caller(request)):
        messages.success(request, _("The location was added."))
        return redirect("admin:images_image_change", image.pk)
    return TemplateResponse(
        request,
        "admin/images/image/location_add.html",
        context(request, title=_("Add a location"), image=image, form=form),
    )


def remove(request: HttpRequest, image_id: str, location_id: int) -> HttpResponse:
    """The page that says what will happen, and the POST that does it."""
    _check(request, "images.delete_imagelocation")
    image = find(image_id)
    held = list(
        image.locations.filter(status=LocationStatus.ACTIVE)
        .order_by("pk")
        .values_list("pk", flat=True)
    )
    if location_id not in held:
        raise Http404(_("The image has no such location."))
    if request.method == "POST":
        sentence = _removed(image.pk, held.index(location_id), caller(request))
        level = messages.ERROR if sentence else messages.SUCCESS
        messages.add_message(request, level, sentence or _("The location was removed."))
        return redirect("admin:images_image_change", image.pk)
    return TemplateResponse(
        request,
        "admin/images/image/location_remove.html",
        context(
            request,
            title=_("Remove a location"),
            image=image,
            location=ImageLocation.objects.get(pk=location_id),
            last=len(held) == 1,
            forbidden=settings.IMAGECATALOG_LAST_LOCATION == "forbid",
        ),
    )


def _removed(image_id: str, index: int, by: Caller) -> str:
    try:
        lifecycle.remove_location(image_id, index, by)
    except errors.ImageError as error:
        return str(error)
    return ""


def _check(request: HttpRequest, permission: str) -> None:
    if not may(request, "images.view_image") or not may(request, permission):
        raise PermissionDenied
