"""The page of an image: its details, its history and the actions on it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.html import format_html
from django.utils.translation import gettext as _

from images import access, errors, history, stores
from images.admin import (
    add_views,
    definitions,
    formatting,
    forms,
    graph,
    polling,
    properties,
    snippets,
    transfer_notes,
    transfer_views,
    upload,
)
from images.admin.actions import ACTIONS, availability, get_caller, may, require
from images.admin.changelist import project_names
from images.admin.shortcuts import context, get_image_or_404
from images.http import public_url
from images.lifecycle import sharing
from images.lifecycle.family_members import version_of
from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    MemberStatus,
    Status,
)
from images.operations import overview

EVENTS = 100  # on a page


def show(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the page of an image; a POST saves the form on it.

    Raises Http404 for an unknown image, PermissionDenied without permission to view or change
    images.
    """
    require(request)
    image = get_image_or_404(image_id)
    if request.method != "POST":
        form = forms.ImageForm(image=image, locked=not _editable(request, image))
        seen = access.readable(get_caller(request), forms.editable(image.properties))
        shown = properties.rows(sorted(seen.items()))
        return _page(request, image, form, shown, shown)
    require(request, "images.change_image")
    form = forms.ImageForm(request.POST, image=image)
    rows = forms.PropertyRows(request.POST)
    for sentence in definitions.complaints(image, rows.described):
        form.add_error(None, sentence)
    if forms.update(image, form, rows, get_caller(request)):
        messages.success(request, _("The changes were saved."))
        return redirect("admin:images_image_change", image.pk)
    entered, shown = properties.rows(rows.pairs), properties.rows(rows.shown.items())
    return _page(request, image, form, entered, shown)


def _editable(request: HttpRequest, image: Image) -> bool:
    return may(request, "images.change_image") and image.deleted_at is None


def _page(
    request: HttpRequest,
    image: Image,
    form: forms.ImageForm,
    rows: list[dict[str, Any]],
    shown_rows: list[dict[str, Any]],
) -> HttpResponse:
    editable, scrub_at = _editable(request, image), overview.scrub_at(image)
    values = {
        "title": formatting.title(image),
        "image": image,
        "badge": formatting.badge(image.status),
        "actions": availability(request, image),
        "upload_link": upload.link(request, image),
        "can_import": transfer_views.may_import(request, image),
        "details": _details(image),
        "scrub_at": formatting.when(scrub_at) if scrub_at else "",
        "form": form,
        "editable": editable,
        "rows": rows,
        "shown_rows": shown_rows,
        "known": properties.KNOWN,
        "groups": _offered(image, rows) if editable else [],
        "projects": add_views.projects() if editable else [],
        **_members(request, image),
        **_locations(request, image),
        **_transfers(request, image),
        **_timeline(request, image),
    }
    values["snippets"] = snippets.for_image(image, public_url.base(request))
    return TemplateResponse(
        request, "admin/images/image/page.html", context(request, **values)
    )


def _offered(image: Image, rows: list[dict[str, Any]]) -> list[definitions.Group]:
    return definitions.without(definitions.groups(image), {row["name"] for row in rows})


def _details(image: Image) -> list[tuple[str, Any]]:
    owner = image.owner or ""
    name = project_names({owner}).get(owner, "") if owner else ""
    exact = f" ({image.size:,} B)" if image.size is not None else ""
    details = [
        (_("Size"), f"{formatting.size(image.size)}{exact}"),
        (_("Virtual size"), formatting.size(image.virtual_size)),
        ("MD5", image.checksum),
        (image.os_hash_algo or _("Digest"), image.os_hash_value),
        *_further_digests(image),
        (_("Project"), f"{name} ({owner})" if name else owner),
        *_family(image),
        (_("Created"), formatting.ago(image.created_at)),
        (_("Updated"), formatting.ago(image.updated_at)),
    ]
    if image.deleted_at:
        details.append((_("Deleted"), formatting.ago(image.deleted_at)))
    return [(label, value or "–") for label, value in details]


def _family(image: Image) -> list[tuple[str, Any]]:
    """Return the row of an image's family: a link to it, and which version the image is."""
    version = version_of(image)
    if version is None:
        return []
    link = format_html(
        '<a href="{}">{}</a> {}',
        reverse("admin:images_family_change", args=[version.family_id]),
        version.family.name,
        version.label,
    )
    is_current = version.pk == version.family.current_id
    mark = format_html(' <span class="mark">{}</span>', _("current"))
    return [(_("Family"), link + mark if is_current else link)]


def _further_digests(image: Image) -> list[tuple[str, str]]:
    """Return (label, digest) pairs: the digests of an image that the other rows of its page lack.

    They include the digests that the data had before the plugins of an import changed it. If the
    data was verified, the last pair says with what it was compared, and when.
    """
    columns = ("md5", image.os_hash_algo)
    further = sorted(it for it in image.digests.items() if it[0] not in columns)
    for algorithm, digest in sorted(image.source_digests.items()):
        label = _("%(algorithm)s before the import changed it")
        further.append((label % {"algorithm": algorithm}, digest))
    if not image.verified_by:
        return further
    ago = formatting.ago(image.verified_at)
    return [*further, (_("Verified by"), format_html("{}, {}", image.verified_by, ago))]


# Locations and transfers


def _locations(request: HttpRequest, image: Image) -> dict[str, Any]:
    removing = may(request, "images.delete_imagelocation")
    locations = image.locations.exclude(status=LocationStatus.DELETED).order_by("pk")
    # All copies of an image have the same digest.
    algorithm, digest = _digest(image)
    return {
        "size": formatting.size(image.size),
        "algorithm": algorithm,
        "digest": digest,
        "locations": [
            {
                "location": location,
                # A URL may contain secrets, so that viewers do not see it.
                "url": _url(location) if removing else "",
                "removable": removing
                and location.status == LocationStatus.ACTIVE
                and image.status == Status.ACTIVE,
                "badge": formatting.badge(location.status),
                "damage": _damage(location),
                "created": formatting.ago(location.created_at),
                "verified": formatting.ago(location.verified_at),
            }
            for location in locations
        ],
        "removing": removing,
        "can_add_location": may(request, "images.add_imagelocation")
        and image.status in (Status.QUEUED, Status.ACTIVE),
        "can_copy": transfer_views.may_copy(request, image, locations),
    }


def _digest(image: Image) -> tuple[str, str]:
    """Return the algorithm and the value of the strongest digest of an image.

    Both are empty if the image has no digest.
    """
    if image.os_hash_value:
        return image.os_hash_algo or "", image.os_hash_value
    return ("MD5", image.checksum) if image.checksum else ("", "")


def _damage(location: ImageLocation) -> str:
    if location.damage.startswith("wrong-digest:"):
        return _("Checksum mismatch: the stored data has changed since upload.")
    return location.damage


def _url(location: ImageLocation) -> str:
    try:
        return stores.get_for_location(location.store).url(location.key)
    except errors.StoreError as error:
        return str(error)


def _transfers(request: HttpRequest, image: Image) -> dict[str, Any]:
    retries = transfer_views.may_import(request, image)
    cancelling = may(request, ACTIONS["fail"].permission)
    newest = polling.newest_transfers(image)
    return {
        "state": polling.state(newest, image),
        "transfer_waits": transfer_notes.waiting(request, newest),
        "last_error": transfer_notes.failure(request, image, newest),
        "transfers": [
            {
                "transfer": transfer,
                "kind": formatting.kind(transfer),
                "badge": formatting.work_badge(transfer),
                "source": transfer_notes.source(request, transfer),
                "bar": formatting.bar(transfer),
                "rate": formatting.progress(transfer)["rate"],
                "started": formatting.ago(transfer.started_at),
                "heartbeat": formatting.ago(transfer.heartbeat_at),
                "cancel": cancelling and transfer.is_open,
                "retry": retries and transfer_views.can_retry(transfer),
            }
            for transfer in newest
        ],
    }


def _members(request: HttpRequest, image: Image) -> dict[str, Any]:
    members = sharing.members(image.pk)
    names = project_names({member.member for member in members})
    shared = image.visibility == "shared" and image.deleted_at is None
    return {
        "members": [
            {"member": member, "name": names.get(member.member, "")}
            for member in members
        ],
        "adding_members": shared and may(request, "images.add_member"),
        "changing_members": shared and may(request, "images.change_member"),
        "removing_members": image.deleted_at is None
        and may(request, "images.delete_member"),
        "member_statuses": MemberStatus.choices,
    }


# The history


def _timeline(request: HttpRequest, image: Image) -> dict[str, Any]:
    text = request.GET.get("before", "")
    before = (
        int(text) if text.isascii() and text.isdecimal() and len(text) < 19 else None
    )
    events, has_older = history.newest(image.pk, before=before, limit=EVENTS)
    taken = {(event["from_status"], event["to_status"]) for event in events}
    for event in events:
        event["ago"] = formatting.ago(event["at"])
        detail = history.visible_detail(event, get_caller(request))
        event["changes"] = _changes(detail)
        event["moved"] = event["from_status"] != event["to_status"]
        event["from_badge"] = formatting.badge(event["from_status"])
        event["to_badge"] = formatting.badge(event["to_status"])
    return {
        "events": events[::-1],
        "older_events": events[0]["id"] if has_older else 0,
        "are_newest": before is None,
        "graph": graph.diagram(
            current=image.status,
            taken={pair for pair in taken if pair[0] != pair[1]},
        ),
    }


def _changes(detail: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Convert the details of an event to rows for the page: a name, and one or two values.

    A list of two values in ``detail`` is a change from the first to the second.
    """
    return [
        {"name": name, "before": value[0], "after": value[1], "changed": True}
        if isinstance(value, list) and len(value) == 2
        else {"name": name, "after": value, "changed": False}
        for name, value in detail.items()
    ]
