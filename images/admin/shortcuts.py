"""What the pages share: the context of a template, the image of a URL, a reason, a way back."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors
from images.models import Image


class ReasonForm(forms.Form):
    """Why: it stays in the history of each image."""

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
        help_text=gettext_lazy("It is kept in the history, for those who ask later."),
    )

    def __init__(self, data: QueryDict | None = None, *, first: bool = True) -> None:
        """``first``: nothing is asked for before it on the page."""
        super().__init__(data)
        if first:
            self.fields["reason"].widget.attrs["autofocus"] = True


def context(request: HttpRequest, **more: Any) -> dict[str, Any]:
    """What every page of the admin needs, and its own."""
    return {**admin.site.each_context(request), "opts": Image._meta, **more}


def find(image_id: str) -> Image:
    """The image, also a deleted one. Raises Http404."""
    image = Image.objects.filter(purged=False, pk=image_id).first()
    if image is None:
        raise Http404(_("There is no image with this id."))
    return image


def refusal(verb: Callable[[], Any]) -> str:
    """Do it; why it was refused, or nothing."""
    try:
        verb()
    except errors.ImageError as error:
        return str(error)
    return ""


def back(request: HttpRequest, image: Image, refused: str, done: Any) -> HttpResponse:
    """To the page of the image, which says why it was refused, or what was done."""
    level = messages.ERROR if refused else messages.SUCCESS
    messages.add_message(request, level, refused or done)
    return redirect("admin:images_image_change", image.pk)
