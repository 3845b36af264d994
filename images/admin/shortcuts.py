"""Helpers for admin views: template context, look-up of an image, reason form, redirect."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from django import forms
from django.contrib import admin, messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors
from images.admin import formatting, list_state
from images.models import Image


class ReasonForm(forms.Form):
    """A form in which the user gives the reason for an action.

    ``recorded`` is a sentence that says where the reason is recorded.
    """

    recorded: ClassVar[Any] = gettext_lazy("Recorded in the image's history.")

    reason = forms.CharField(
        label=gettext_lazy("Reason"),
        max_length=255,
        widget=forms.TextInput(attrs={"autocomplete": "off"}),
    )

    def __init__(self, data: QueryDict | None = None, *, first: bool = True) -> None:
        """Create the form. As the ``first`` form on a page it gets the keyboard focus."""
        super().__init__(data)
        self.fields["reason"].help_text = _("Required. %s") % self.recorded
        if first:
            self.fields["reason"].widget.attrs["autofocus"] = True


def context(request: HttpRequest, **more: Any) -> dict[str, Any]:
    """Return the template context of an admin page: Django's values for every page, and ``more``.

    Among the values are ``list_url``, the URL of the list of images from which the user came, and
    ``kept``, the end of a URL that passes this list on. If ``more`` has an ``image``, its title
    is added as ``image_title``.
    """
    if "image" in more:
        more["image_title"] = formatting.title(more["image"])
    return {
        **admin.site.each_context(request),
        "opts": Image._meta,
        "list_url": list_state.list_url(request),
        "kept": list_state.kept(request),
        **more,
    }


def get_image_or_404(image_id: str) -> Image:
    """Return an image, even a deleted one. Raises Http404 if the image is unknown or purged."""
    image = Image.objects.filter(purged=False, pk=image_id).first()
    if image is None:
        raise Http404(_("There is no image with this id."))
    return image


def try_verb(verb: Callable[[], Any]) -> str:
    """Call ``verb``, a function that changes something; return the reason if it refuses the change.

    Returns an empty text if the change was made.
    """
    try:
        verb()
    except errors.ImageError as error:
        return str(error)
    return ""


def add_outcome(request: HttpRequest, refused: str, done: Any) -> None:
    """Show a message on the next page: the error ``refused``, or ``done`` if ``refused`` is empty."""
    level = messages.ERROR if refused else messages.SUCCESS
    messages.add_message(request, level, refused or done)


def redirect_to_image(
    request: HttpRequest, image: Image, refused: str, done: Any, page: str = "change"
) -> HttpResponse:
    """Redirect to a page of an image, such as ``sharing``, which then shows a message.

    The message is the error ``refused``, or ``done`` if ``refused`` is empty.
    """
    add_outcome(request, refused, done)
    return redirect(list_state.image_url(request, image.pk, page))
