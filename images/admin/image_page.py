"""The pages of an image: a head with facts, notices and buttons, and a tab for each page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from images import access, history, units
from images.admin import (
    failures,
    formatting,
    graph,
    image_buttons,
    image_data,
    image_facts,
    image_notices,
    image_sharing,
    image_timeline,
    list_state,
    members,
    neighbours,
    polling,
    snippets,
    transfer_notes,
)
from images.admin.actions import get_caller, require
from images.admin.changelist import project_names
from images.admin.forms import editable
from images.admin.shortcuts import context, get_image_or_404
from images.http import public_url
from images.lifecycle import sharing
from images.models import Image, ImageLocation, Member, Transfer

EVENTS = 100  # on a page of the history
NEWEST = 5  # events on the page "Overview"


@dataclass
class Shown:
    """An image, and its locations, transfers, members and properties, for all of its pages.

    ``names`` are the names of the projects of owner and members.
    """

    image: Image
    locations: list[ImageLocation]
    transfers: list[Transfer]
    members: list[Member]
    names: dict[str, str]  # of the projects of owner and members, by id
    properties: Mapping[str, Any]  # those that the user can read


def _look_up(request: HttpRequest, image_id: str) -> Shown:
    """Return an image for one of its pages. Five queries.

    Raises PermissionDenied without the permission to view images, Http404 for an unknown image.
    """
    require(request)
    image = get_image_or_404(image_id)
    shared_with = sharing.members(image.pk)
    projects = {image.owner or "", *(it.member for it in shared_with)} - {""}
    return Shown(
        image,
        image_data.present(image),
        polling.newest_transfers(image),
        shared_with,
        project_names(projects),
        access.readable(get_caller(request), editable(image.properties)),
    )


def overview(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the details of an image, how to use it, and its newest events."""
    shown = _look_up(request, image_id)
    events, _more = history.newest(shown.image.pk, limit=NEWEST)
    return _page(
        request,
        shown,
        "overview",
        details=image_facts.details(shown.image, shown.names),
        snippets=snippets.for_image(shown.image, public_url.base(request)),
        events=image_timeline.rows(events, get_caller(request), shown.names),
    )


def data(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the locations and the transfers of an image."""
    shown = _look_up(request, image_id)
    return _page(
        request,
        shown,
        "data",
        transfers=image_data.transfers(request, shown.image, shown.transfers),
        **image_data.locations(request, shown.image, shown.locations),
    )


def properties(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the custom properties of an image."""
    shown = _look_up(request, image_id)
    return _page(
        request, shown, "properties", properties=sorted(shown.properties.items())
    )


def share(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show which projects see an image, with forms that change its members."""
    shown = _look_up(request, image_id)
    rights = image_sharing.rights(request, shown.image)
    return _page(
        request,
        shown,
        "sharing",
        members=[
            {
                "member": it,
                "name": shown.names.get(it.member, ""),
                "since": formatting.ago(it.created_at),
            }
            for it in shown.members
        ],
        form=members.MemberForm() if rights["adding_members"] else None,
        seen_by=image_sharing.seen_by(shown.image.visibility),
        without_effect=image_sharing.without_effect(
            shown.image.visibility, len(shown.members)
        ),
        **rights,
    )


def events(request: HttpRequest, image_id: str) -> HttpResponse:
    """Show the history of an image, newest event first, and the figure of its life cycle."""
    shown = _look_up(request, image_id)
    before = units.parse_digits(request.GET.get("before", ""), 18)
    found, has_older = history.newest(shown.image.pk, before=before, limit=EVENTS)
    taken = {(event["from_status"], event["to_status"]) for event in found}
    return _page(
        request,
        shown,
        "history",
        events=image_timeline.rows(found, get_caller(request), shown.names),
        older_events=found[0]["id"] if has_older else 0,
        are_newest=before is None,
        graph=graph.diagram(
            current=shown.image.status,
            taken={pair for pair in taken if pair[0] != pair[1]},
        ),
    )


def _page(request: HttpRequest, shown: Shown, tab: str, **more: Any) -> HttpResponse:
    """Return the page of an image with this tab; ``more`` are the values that only this tab shows."""
    image = shown.image
    values = {
        "title": formatting.title(image),
        "image": image,
        "badge": formatting.badge(
            image.status, failed=failures.is_failed(image, shown.transfers)
        ),
        "marks": formatting.marks(image),
        "state": polling.state(shown.transfers, image),
        "neighbours": neighbours.of(request, image),
        "tabs": _tabs(request, shown, tab),
        "transfer_waits": transfer_notes.waiting(request, shown.transfers),
        "last_error": transfer_notes.failure(request, image, shown.transfers),
        "notices": _notices(shown),
        "open_transfers": image_data.transfers(
            request, image, [it for it in shown.transfers if it.is_open]
        ),
        "facts": image_facts.head(image, shown.locations, shown.members, shown.names),
        "editable": image_buttons.may_edit(request, image),
        **image_buttons.of(request, image, shown.locations),
        **more,
    }
    template = f"admin/images/image/{tab}.html"
    return TemplateResponse(request, template, context(request, **values))


def _notices(shown: Shown) -> list[image_notices.Notice]:
    success = transfer_notes.success(shown.image, shown.transfers)
    notices = image_notices.of(shown.image, shown.locations)
    return [success, *notices] if success else notices


def _tabs(request: HttpRequest, shown: Shown, current: str) -> Sequence[dict[str, Any]]:
    tabs = (
        ("overview", "change", _("Overview"), None),
        ("data", "data", _("Data"), len(shown.locations)),
        ("properties", "properties", _("Properties"), len(shown.properties)),
        ("sharing", "sharing", _("Sharing"), len(shown.members)),
        ("history", "history", _("History"), None),
    )
    return [
        {
            "label": label,
            "count": count,
            "current": name == current,
            "url": list_state.image_url(request, shown.image.pk, page),
        }
        for name, page, label, count in tabs
    ]
