"""Ways to a new image. A way is a page of its own; "Add image" lists those one may go."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity.models import Project, RoleAssignment
from images.admin import forms, properties
from images.admin.actions import get_caller, may
from images.admin.shortcuts import context
from images.admin.url_forms import CopyForm, LocationForm

SUGGESTED = 200  # projects
Place = LocationForm | CopyForm


@dataclass(frozen=True)
class Way:
    """One way; its page is ``images/image/add/PATH/``, its URL's name ``images_image_NAME``."""

    path: str
    name: str
    view: Callable[..., HttpResponse]
    label: Any
    description: Any
    permissions: tuple[str, ...]


def choose(request: HttpRequest) -> HttpResponse:
    """The page "Add image"."""
    ways = [way for way in WAYS if all(may(request, it) for it in way.permissions)]
    if not ways:
        raise PermissionDenied
    return TemplateResponse(
        request,
        "admin/images/image/add.html",
        context(request, title=_("Add image"), ways=ways),
    )


def file(request: HttpRequest) -> HttpResponse:
    """An image whose data is in a file here: the page that sends it comes next."""
    return _create(request, _FILE, None)


def metadata(request: HttpRequest) -> HttpResponse:
    """An image without data."""
    return _create(request, _METADATA, None)


def location(request: HttpRequest) -> HttpResponse:
    """An image whose data is at a URL, and stays there."""
    return _create(request, _LOCATION, LocationForm(request.POST or None))


def url(request: HttpRequest) -> HttpResponse:
    """An image whose data is fetched from a URL."""
    return _create(request, _URL, CopyForm(request.POST or None))


def _create(request: HttpRequest, way: Way, place: Place | None) -> HttpResponse:
    if not all(may(request, permission) for permission in way.permissions):
        raise PermissionDenied
    rows = forms.PropertyRows(request.POST)
    if request.method != "POST":
        form = forms.ImageForm()
        form.initial = {"owner": own_project(request)}
        return _page(request, way, form, place, rows)
    form = forms.ImageForm(request.POST)
    placed = place is None or place.is_valid()
    if way is not _METADATA:
        _need_formats(form)
    image = forms.create(form, rows, get_caller(request)) if placed else None
    if image is None:
        form.is_valid()
        return _page(request, way, form, place, rows)
    if way is _FILE:
        return redirect("admin:images_image_upload", image.pk)
    _say(request, place is None or place.bring(image.pk, get_caller(request)), place)
    return redirect("admin:images_image_change", image.pk)


def _need_formats(form: forms.ImageForm) -> None:
    for name in forms.FORMATS:
        form.fields[name].required = True


def _say(request: HttpRequest, whole: bool, place: Place | None) -> None:
    if whole or place is None:
        messages.success(request, _("The image was created."))
        return
    why = " ".join(map(str, place.non_field_errors()))
    sentence = _("The image was created, but without data: %(why)s") % {"why": why}
    messages.warning(request, sentence)


def own_project(request: HttpRequest) -> str:
    """The id of the first project of the signed-in user; empty: there is none."""
    mine = RoleAssignment.objects.filter(user__username=request.user.get_username())
    return mine.values_list("project", flat=True).first() or ""


def projects() -> list[tuple[str, str]]:
    """(id, name) of the projects that are suggested as owners."""
    return list(Project.objects.order_by("name").values_list("pk", "name")[:SUGGESTED])


def _page(
    request: HttpRequest,
    way: Way,
    form: forms.ImageForm,
    place: Place | None,
    rows: forms.PropertyRows,
) -> HttpResponse:
    return TemplateResponse(
        request,
        "admin/images/image/add_form.html",
        context(
            request,
            title=way.label,
            way=way,
            form=form,
            place=place,
            rows=properties.rows(rows.pairs),
            known=properties.KNOWN,
            projects=projects(),
        ),
    )


_FILE = Way(
    "file",
    "add_by_file",
    file,
    gettext_lazy("From a file"),
    gettext_lazy("A file on this computer; the upload may be interrupted and goes on."),
    ("images.add_image", "images.upload_image"),
)
_LOCATION = Way(
    "location",
    "add_by_location",
    location,
    gettext_lazy("By location"),
    gettext_lazy("The data is at a URL and stays there; nothing is copied."),
    ("images.add_image", "images.add_imagelocation"),
)
_METADATA = Way(
    "metadata",
    "add_metadata",
    metadata,
    gettext_lazy("Metadata only"),
    gettext_lazy("The id is reserved now, the data comes later."),
    ("images.add_image",),
)
_URL = Way(
    "url",
    "add_by_url",
    url,
    gettext_lazy("From a URL"),
    gettext_lazy("The data is fetched from a web address, in the background."),
    ("images.add_image", "images.upload_image"),
)
WAYS = (_FILE, _URL, _LOCATION, _METADATA)
