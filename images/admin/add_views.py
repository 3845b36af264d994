"""Views that create images: a page for each way to add an image, and the page to choose one."""

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
from images import imports
from images.admin import forms, properties
from images.admin.actions import get_caller, may
from images.admin.import_forms import ImportForm
from images.admin.shortcuts import context
from images.admin.url_forms import LocationForm
from images.models import ImportMethod

SUGGESTED = 200  # projects
SourceForm = LocationForm | ImportForm


@dataclass(frozen=True)
class AddMethod:
    """A way to add an image: the path of its page, its texts and permissions.

    The page is ``images/image/add/PATH/``; its URL has the name ``images_image_NAME``. PATH and
    NAME are ``path`` and ``name``.
    """

    path: str
    name: str
    view: Callable[..., HttpResponse]
    label: Any
    description: Any
    permissions: tuple[str, ...]
    import_method: str = ""  # the operator can switch it off


def choose(request: HttpRequest) -> HttpResponse:
    """Show the page "Add image", on which the user chooses a way to add an image.

    Raises PermissionDenied if the user has the permission for none of the ways.
    """
    methods = [method for method in ADD_METHODS if _allowed(request, method)]
    if not methods:
        raise PermissionDenied
    return TemplateResponse(
        request,
        "admin/images/image/add.html",
        context(request, title=_("Add image"), methods=methods),
    )


def _allowed(request: HttpRequest, method: AddMethod) -> bool:
    if method.import_method and method.import_method not in imports.names():
        return False
    return all(may(request, permission) for permission in method.permissions)


def file(request: HttpRequest) -> HttpResponse:
    """Show the form for an image whose data the user will upload; a POST creates the image.

    After the POST the browser is redirected to the upload page.
    """
    return _create(request, _FILE, None)


def metadata(request: HttpRequest) -> HttpResponse:
    """Show the form for an image without data; a POST creates the image."""
    return _create(request, _METADATA, None)


def location(request: HttpRequest) -> HttpResponse:
    """Show the form for an image whose data remains at a URL; a POST creates the image."""
    return _create(request, _LOCATION, LocationForm(request.POST or None))


def url(request: HttpRequest) -> HttpResponse:
    """Show the form for an image whose data is downloaded from a URL; a POST creates the image.

    The POST also requests the download by the background worker.
    """
    return _create(request, _URL, ImportForm(request.POST or None))


def _create(
    request: HttpRequest, method: AddMethod, source_form: SourceForm | None
) -> HttpResponse:
    if not _allowed(request, method):
        raise PermissionDenied
    rows = forms.PropertyRows(request.POST)
    if request.method != "POST":
        form = forms.ImageForm()
        form.initial = {"owner": own_project(request)}
        return _page(request, method, form, source_form, rows)
    form = forms.ImageForm(request.POST)
    source_valid = source_form is None or source_form.is_valid()
    if method is not _METADATA:
        _require_formats(form)
    image = forms.create(form, rows, get_caller(request)) if source_valid else None
    if image is None:
        form.is_valid()
        return _page(request, method, form, source_form, rows)
    if method is _FILE:
        return redirect("admin:images_image_upload", image.pk)
    refused = source_form and not source_form.apply(image.pk, get_caller(request))
    if source_form and refused:
        _warn(request, source_form)
    else:
        messages.success(request, _("The image was created."))
    return redirect("admin:images_image_change", image.pk)


def _require_formats(form: forms.ImageForm) -> None:
    for name in forms.FORMATS:
        form.fields[name].required = True


def _warn(request: HttpRequest, source_form: SourceForm) -> None:
    reason = " ".join(map(str, source_form.non_field_errors()))
    sentence = _("The image was created without data. %(reason)s") % {"reason": reason}
    messages.warning(request, sentence)


def own_project(request: HttpRequest) -> str:
    """Return the id of the first project of the signed-in user; empty if there is none."""
    assignments = RoleAssignment.objects.filter(
        user__username=request.user.get_username()
    )
    return assignments.values_list("project", flat=True).first() or ""


def projects() -> list[tuple[str, str]]:
    """Return (id, name) of up to 200 projects, which forms suggest as owners of an image."""
    return list(Project.objects.order_by("name").values_list("pk", "name")[:SUGGESTED])


def _page(
    request: HttpRequest,
    method: AddMethod,
    form: forms.ImageForm,
    source_form: SourceForm | None,
    rows: forms.PropertyRows,
) -> HttpResponse:
    return TemplateResponse(
        request,
        "admin/images/image/add_form.html",
        context(
            request,
            title=method.label,
            method=method,
            form=form,
            source_form=source_form,
            rows=properties.rows(rows.pairs),
            known=properties.KNOWN,
            projects=projects(),
        ),
    )


_FILE = AddMethod(
    "file",
    "add_by_file",
    file,
    gettext_lazy("From a file"),
    gettext_lazy(
        "Upload a file from this computer. An interrupted upload can be resumed."
    ),
    ("images.add_image", "images.upload_image"),
)
_LOCATION = AddMethod(
    "location",
    "add_by_location",
    location,
    gettext_lazy("By location"),
    gettext_lazy(
        "Register data that stays at its URL. It is read and checked once; nothing is copied."
    ),
    ("images.add_image", "images.add_imagelocation"),
)
_METADATA = AddMethod(
    "metadata",
    "add_metadata",
    metadata,
    gettext_lazy("Metadata only"),
    gettext_lazy("Reserve an id now, and add the data later."),
    ("images.add_image",),
)
_URL = AddMethod(
    "url",
    "add_by_url",
    url,
    gettext_lazy("From a URL"),
    gettext_lazy("A background worker downloads the data from a URL."),
    ("images.add_image", "images.upload_image"),
    ImportMethod.WEB_DOWNLOAD,
)
ADD_METHODS = (_FILE, _URL, _LOCATION, _METADATA)
