"""The page on which users edit the attributes, tags and properties of an image."""

from __future__ import annotations

from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from images import access
from images.admin import (
    definitions,
    formatting,
    forms,
    image_buttons,
    image_sharing,
    list_state,
    polling,
    properties,
)
from images.admin.actions import get_caller, require
from images.admin.shortcuts import context, get_image_or_404, redirect_to_image
from images.lifecycle import sharing
from images.models import Image

Rows = list[dict[str, Any]]


def show(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the form of an image; a POST saves what the user has changed in it.

    Raises Http404 for an unknown image, PermissionDenied without permission to view or change
    images.
    """
    require(request, "images.change_image")
    image = get_image_or_404(image_id)
    if request.method != "POST":
        if not image_buttons.may_edit(request, image):
            return redirect_to_image(
                request, image, _("Deleted images cannot be edited."), ""
            )
        form = forms.ImageForm(image=image)
        seen = access.readable(get_caller(request), forms.editable(image.properties))
        shown = properties.rows(sorted(seen.items()))
        return _page(request, image, form, shown, shown)
    form = forms.ImageForm(request.POST, image=image)
    rows = forms.PropertyRows(request.POST)
    for sentence in definitions.complaints(image, rows.described):
        form.add_error(None, sentence)
    if forms.update(image, form, rows, get_caller(request)):
        messages.success(request, _("The changes were saved."))
        _tell_unshared(request, image, form)
        return redirect(list_state.image_url(request, image.pk))
    entered, shown = properties.rows(rows.pairs), properties.rows(rows.shown.items())
    return _page(request, image, form, entered, shown)


def _tell_unshared(request: HttpRequest, before: Image, form: forms.ImageForm) -> None:
    """Warn the user if a changed visibility has made the memberships of the image ineffective.

    ``before`` is the image before the change.
    """
    visibility = form.changed.get("visibility")
    if before.visibility != "shared" or not visibility:
        return
    count = len(sharing.members(before.pk))
    if sentence := image_sharing.without_effect(visibility, count):
        messages.warning(request, sentence)


def _page(
    request: HttpRequest,
    image: Image,
    form: forms.ImageForm,
    rows: Rows,
    shown_rows: Rows,
) -> HttpResponse:
    title = _("Edit %(name)s") % {"name": formatting.title(image)}
    offered = definitions.without(
        definitions.groups(image), {row["name"] for row in rows}
    )
    values = {
        "title": _("Error: %(title)s") % {"title": title} if form.errors else title,
        "image": image,
        "state": polling.state(polling.newest_transfers(image), image),
        "form": form,
        "rows": rows,
        "shown_rows": shown_rows,
        "known": properties.KNOWN,
        "groups": offered,
    }
    return TemplateResponse(
        request, "admin/images/image/edit.html", context(request, **values)
    )
