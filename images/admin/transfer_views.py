"""Views for the transfers of an image: import, copy to other stores, cancel and retry."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import Any
from uuid import UUID

from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from images import imports
from images.access import Caller
from images.admin import consequences, formatting, list_state
from images.admin.actions import ACTIONS, get_caller, may, require
from images.admin.import_forms import (
    CopyForm,
    ImportForm,
    described,
    further_stores,
    values_of,
)
from images.admin.shortcuts import (
    ReasonForm,
    add_outcome,
    context,
    get_image_or_404,
    redirect_to_image,
    try_verb,
)
from images.attributes import parse_uuid
from images.imports import ImportRequest
from images.models import (
    Image,
    ImageLocation,
    ImportMethod,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
)
from images.operations import manual_transitions
from images.transfers import sources, targets

COPYING = "images.add_imagelocation"  # permissions
IMPORTING = "images.upload_image"
LISTED = "transfers"  # parameter: the query of the list of transfers from which the user comes


def may_copy(
    request: HttpRequest, image: Image, locations: Iterable[ImageLocation]
) -> bool:
    """Return whether this user can copy an image to another store now.

    ``locations`` are the locations of the image.
    """
    return may(request, COPYING) and not _copy_refusal(image, further_stores(locations))


def _copy_refusal(image: Image, store_ids: list[str]) -> str:
    if ImportMethod.COPY_IMAGE not in imports.names():
        return _("This catalogue does not offer copies to other stores.")
    if image.status != Status.ACTIVE:
        return _("Only active images can be copied to another store.")
    if not store_ids:
        return _("Every store has the data of the image already.")
    return ""


def copy(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the form for copying an image to other stores; a POST requests the copy."""
    require(request, COPYING)
    image = get_image_or_404(image_id)
    store_ids = further_stores(image.locations.all())
    if refused := _copy_refusal(image, store_ids):
        return redirect_to_image(request, image, refused, "")
    form = CopyForm(store_ids, request.POST if request.method == "POST" else None)
    if form.is_valid() and form.apply(image.pk, get_caller(request)):
        done = _("A background worker copies the image to: %(stores)s.") % {
            "stores": ", ".join(form.cleaned_data["stores"])
        }
        return redirect_to_image(request, image, "", done)
    return TemplateResponse(
        request,
        "admin/images/image/copy.html",
        context(
            request,
            title=_("Copy to another store"),
            image=image,
            form=form,
            outcome=consequences.copying(image),
        ),
    )


def may_import(request: HttpRequest, image: Image) -> bool:
    """Return whether this user can import the data of an image from a URL now."""
    return may(request, IMPORTING) and not _import_refusal(image)


def _import_refusal(image: Image) -> str:
    if ImportMethod.WEB_DOWNLOAD not in imports.names():
        return _("This catalogue does not offer imports from a URL.")
    if image.status != Status.QUEUED:
        return _("Only queued images can be imported from a URL.")
    if not image.disk_format or not image.container_format:
        return _("Set the disk and container format first.")
    return ""


def import_data(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the form for importing an image's data from a URL; a POST requests the import."""
    require(request, IMPORTING)
    image = get_image_or_404(image_id)
    if refused := _import_refusal(image):
        return redirect_to_image(request, image, refused, "")
    form = ImportForm(request.POST if request.method == "POST" else None)
    form.initial = _earlier(request, image)
    if form.is_valid() and form.apply(image.pk, get_caller(request)):
        return _finish(request, image, "", _("A background worker downloads the data."))
    return TemplateResponse(
        request,
        "admin/images/image/import.html",
        context(request, title=_("Import from a URL"), image=image, form=form),
    )


def _earlier(request: HttpRequest, image: Image) -> dict[str, Any]:
    """Return initial values for the import form: those of a failed web download of the image.

    The query parameter ``transfer`` is the id of this web download. Empty if there is none.
    """
    transfer_id = parse_uuid(request.GET.get("transfer", ""))
    failed = image.transfers.filter(pk=transfer_id).first() if transfer_id else None
    return values_of(failed) if failed and can_retry(failed) else {}


def cancel(request: HttpRequest, image_id: str, transfer_id: UUID) -> HttpResponse:
    """Show the confirmation page for cancelling a transfer; a POST cancels the transfer."""
    require(request, ACTIONS["fail"].permission)
    image = get_image_or_404(image_id)
    transfer = image.transfers.filter(pk=transfer_id).first()
    if transfer is None:
        raise Http404(_("The image has no transfer with this id."))
    if not transfer.is_open:
        ended = _("The transfer has ended already.")
        return _finish(request, image, ended, "")
    reason = ReasonForm(request.POST if request.method == "POST" else None)
    if reason.is_valid():
        actor, text = get_caller(request), reason.cleaned_data["reason"]
        refused = try_verb(partial(manual_transitions.cancel, transfer.pk, actor, text))
        return _finish(request, image, refused, _("Transfer cancelled."))
    return TemplateResponse(
        request,
        "admin/images/image/cancel.html",
        context(
            request,
            title=ACTIONS["fail"].label,
            image=image,
            reason=reason,
            consequence=consequences.cancelling(image, transfer),
        ),
    )


def can_retry(transfer: Transfer) -> bool:
    """Return whether a transfer is a failed web download that can be requested again."""
    return (
        transfer.status == TransferStatus.FAILED
        and transfer.kind == TransferKind.WEB_DOWNLOAD
        and transfer.import_method != ImportMethod.GLANCE_DOWNLOAD
    )


def needs_url(transfer: Transfer) -> bool:
    """Return whether a failed web download can only be repeated with a URL that a user enters again.

    The query of a URL is not kept, because it can be secret.
    """
    file = imports.checksum_file_of(transfer)
    return "?" in transfer.source or bool(file and "?" in file.url)


@require_POST
def retry(request: HttpRequest, image_id: str, transfer_id: UUID) -> HttpResponse:
    """Request a failed web download again; redirect to the page of the image. POST only."""
    require(request, IMPORTING)
    image = get_image_or_404(image_id)
    transfer = image.transfers.filter(pk=transfer_id).first()
    if transfer is None or not can_retry(transfer):
        raise Http404(_("The image has no failed web download with this id."))
    refused = try_verb(partial(_restart, image, transfer, get_caller(request)))
    if refused and needs_url(transfer):
        messages.error(request, refused)
        return redirect(
            list_state.image_url(
                request, image.pk, "import", transfer=transfer.pk, **_listed(request)
            )
        )
    return _finish(request, image, refused, _("Import restarted."))


def _listed(request: HttpRequest) -> dict[str, str]:
    return {LISTED: request.GET[LISTED]} if LISTED in request.GET else {}


def _finish(
    request: HttpRequest, image: Image, refused: str, done: str
) -> HttpResponse:
    """Redirect to the list of transfers from which the user has come, else to the image's page.

    The page shows the error ``refused``, or ``done`` if ``refused`` is empty.
    """
    if LISTED not in request.GET:
        return redirect_to_image(request, image, refused, done)
    named = _("Image %(name)s: %(outcome)s") % {
        "name": formatting.title(image),
        "outcome": refused or done,
    }
    add_outcome(request, refused and named, named)
    query = QueryDict(request.GET[LISTED].encode()).urlencode()
    return redirect(f"{reverse('admin:images_transfer_changelist')}?{query}")


def _restart(image: Image, transfer: Transfer, actor: Caller) -> None:
    file = imports.checksum_file_of(transfer)
    for url in (transfer.source, file.url if file else ""):
        sources.check_complete(url)
    rows = targets.of(transfer)
    request = transfer.task_request or {}
    md5 = {"md5": transfer.checksum.lower()} if transfer.checksum else {}
    wanted = ImportRequest(
        ImportMethod.WEB_DOWNLOAD,
        transfer.source,
        size=(request.get("expected") or {}).get("size"),
        store_ids=tuple(row.store for row in rows),
        all_must_succeed=all(row.required for row in rows),
        digests=transfer.expected_digests | md5,
        checksum_file=file,
        document=request,
    )
    imports.request_import(image.pk, wanted if request else described(wanted), actor)
