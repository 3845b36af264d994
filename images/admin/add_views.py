"""Views that create images: a page for each way to add an image, and the page to choose one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, JsonResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from imagecatalog.identity.models import RoleAssignment
from images import imports
from images.admin import formatting, forms, properties, upload
from images.admin.actions import get_caller, may
from images.admin.import_forms import ImportForm
from images.admin.shortcuts import context
from images.admin.url_forms import LocationForm
from images.attributes import MAX_LENGTH
from images.models import Image, ImportMethod

GUESS_HEAD = 1 << 16  # bytes
SourceForm = LocationForm | ImportForm


@dataclass(frozen=True)
class AddMethod:
    """A way to add an image: the path of its page, its texts and permissions.

    The page is ``images/image/add/PATH/``; its URL has the name ``images_image_NAME``. PATH and
    NAME are ``path`` and ``name``. ``source_form`` is the form for the URL of the data.
    """

    path: str
    name: str
    label: Any
    description: Any
    created: Any  # what is said when the image is created
    submit: Any
    permissions: tuple[str, ...]
    source_form: Callable[[QueryDict | None], SourceForm] | None = None
    import_method: str = ""  # the operator can switch it off
    has_data: bool = True

    @property
    def view(self) -> Callable[..., HttpResponse]:
        """The view of the page with the form; a POST creates the image."""
        return partial(_create, method=self)


def choose(request: HttpRequest) -> HttpResponse:
    """Show the page "Add image", on which the user chooses a way to add an image.

    Raises PermissionDenied if the user has the permission for none of the ways.
    """
    methods = _allowed_methods(request)
    if not methods:
        raise PermissionDenied
    return TemplateResponse(
        request,
        "admin/images/image/add.html",
        context(request, title=_("Add image"), methods=methods),
    )


def guess(request: HttpRequest) -> HttpResponse:
    """Return the guessed name and formats of an image as JSON, with which a page fills its form.

    The guess is made from the name of the file or URL, which is the query parameter ``name``, and
    from the first bytes of the data, which a POST has as its body. Raises PermissionDenied without
    permission to add images.
    """
    if not may(request, "images.add_image"):
        raise PermissionDenied
    head = request.read(GUESS_HEAD) if request.method == "POST" else b""
    name = request.GET.get("name", "")[-MAX_LENGTH:]
    from images.files import guesses  # slow: not for commands

    return JsonResponse(guesses.guess(name, head)._asdict())


def _allowed_methods(request: HttpRequest) -> list[AddMethod]:
    return [method for method in ADD_METHODS if _allowed(request, method)]


def _allowed(request: HttpRequest, method: AddMethod) -> bool:
    if method.import_method and method.import_method not in imports.names():
        return False
    return all(may(request, permission) for permission in method.permissions)


def _create(request: HttpRequest, method: AddMethod) -> HttpResponse:
    """Show the form of a way to add an image; a POST creates the image.

    A POST with ``switch`` creates no image: the user has switched from the page of another way to
    this one. The form is then filled with the values that were entered on the other page.
    """
    if not _allowed(request, method):
        raise PermissionDenied
    rows = forms.PropertyRows(request.POST)
    if request.method != "POST" or "switch" in request.POST:
        return _page(request, method, *_unbound(request, method), rows)
    form = forms.ImageForm(request.POST)
    source_form = method.source_form and method.source_form(request.POST)
    source_valid = source_form is None or source_form.is_valid()
    if method.has_data:
        _require_formats(form)
    image = forms.create(form, rows, get_caller(request)) if source_valid else None
    if image is None:
        form.is_valid()
        return _page(request, method, form, source_form, rows)
    if method is _FILE:
        return _upload_page(request, image)
    if source_form and not source_form.apply(image.pk, get_caller(request)):
        _warn(request, source_form)
    else:
        messages.success(request, method.created)
    return redirect("admin:images_image_change", image.pk)


def _unbound(
    request: HttpRequest, method: AddMethod
) -> tuple[forms.ImageForm, SourceForm | None]:
    """Return the forms of a way to add an image, not yet validated and so without errors.

    If the request is a POST, the forms are filled with the values that the user has entered on the
    page of another way.
    """
    form = forms.ImageForm()
    source_form = method.source_form and method.source_form(None)
    if request.method != "POST":
        form.initial = {"owner": own_project(request)}
        return form, source_form
    form.initial = dict(_entered(form, request.POST))
    if source_form:
        source_form.initial = dict(_entered(source_form, request.POST))
    return form, source_form


def _entered(form: Any, post: QueryDict) -> Iterator[tuple[str, Any]]:
    """Yield the name and value of each field of ``form`` that has a value in ``post``."""
    for name, field in form.fields.items():
        value = field.widget.value_from_datadict(post, None, name)
        if value not in (None, []):
            yield name, value


def _upload_page(request: HttpRequest, image: Image) -> HttpResponse:
    """Redirect to the upload page of a new image, or return JSON to the script of the form.

    The script has the file already. The JSON has the image's name and status, and the URLs for the
    upload.
    """
    page = reverse("admin:images_image_upload", args=[image.pk])
    if request.META.get("HTTP_ACCEPT") != "application/json":
        return redirect(page)
    document = {
        "title": formatting.title(image),
        "status": image.status,
        "label": formatting.status_name(image.status),
        "page": page,
        "live": reverse("admin:images_image_upload_live", args=[image.pk]),
        "uploads": page.removesuffix("upload/") + "uploads",
        "done": reverse("admin:images_image_change", args=[image.pk]),
    }
    return JsonResponse(document, status=201)


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
            methods=_allowed_methods(request),
            has_file=method is _FILE,
            guess=reverse("admin:images_image_guess"),
            kept_for=upload.kept_for(),
            form=form,
            source_form=source_form,
            rows=properties.rows(rows.pairs),
            known=properties.KNOWN,
        ),
    )


_CREATED = gettext_lazy("The image was created.")
_CREATE = gettext_lazy("Create")
_FILE = AddMethod(
    "file",
    "add_by_file",
    gettext_lazy("From a file"),
    gettext_lazy(
        "Upload a file from this computer. An interrupted upload can be resumed."
    ),
    _CREATED,
    gettext_lazy("Create and upload"),
    ("images.add_image", "images.upload_image"),
)
_LOCATION = AddMethod(
    "location",
    "add_by_location",
    gettext_lazy("By location"),
    gettext_lazy(
        "Register data that stays at its URL. It is read and checked once; nothing is copied."
    ),
    _CREATED,
    _CREATE,
    ("images.add_image", "images.add_imagelocation"),
    source_form=LocationForm,
)
_METADATA = AddMethod(
    "metadata",
    "add_metadata",
    gettext_lazy("Metadata only"),
    gettext_lazy("Reserve an id now, and add the data later."),
    _CREATED,
    _CREATE,
    ("images.add_image",),
    has_data=False,
)
_URL = AddMethod(
    "url",
    "add_by_url",
    gettext_lazy("From a URL"),
    gettext_lazy("A background worker downloads the data from a URL."),
    gettext_lazy("The image was created. A background worker downloads its data."),
    gettext_lazy("Create and import"),
    ("images.add_image", "images.upload_image"),
    source_form=ImportForm,
    import_method=ImportMethod.WEB_DOWNLOAD,
)
ADD_METHODS = (_FILE, _URL, _LOCATION, _METADATA)
