"""The page "Activity": who changed what in the whole catalogue, with filters and export."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from django.contrib import admin
from django.http import HttpRequest, HttpResponseBase
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from images import activity, history
from images.activity import Record, Selection
from images.admin import event_texts, exports, formatting
from images.admin.actions import get_caller, require
from images.admin.activity_filters import ActivityForm, in_url
from images.admin.changelist import project_names
from images.models import Family, Image

ROWS: Final = 50  # events on a page
NEWEST: Final = 10  # events on the front page
# Events that a page reads, where no index finds those that match; and a step of an export.
SEARCHED: Final = 10_000
SEARCHED_AT_ONCE: Final = 100_000
BATCH: Final = 1000  # events that an export reads at once
EXPORTED: Final = (
    "at",
    "kind",
    "subject",
    "subject_name",
    "verb",
    "event",
    "before",
    "after",
    "actor",
    "project",
    "project_name",
    "interface",
    "request_id",
    "reason",
    "detail",
)


def page(request: HttpRequest) -> HttpResponseBase:
    """Show the events that match the filters, newest first; with ``format`` export all of them.

    Raises PermissionDenied for users who cannot view images.
    """
    require(request)
    form = ActivityForm(request)
    is_valid = form.is_valid()
    format = request.GET.get("format", "")
    if is_valid and format in exports.FORMATS:
        return _export(request, form.selection(), format)
    found = activity.page(form.selection(), ROWS, SEARCHED) if is_valid else _nothing()
    older = in_url(found.older) if found.older else ""
    until = found.older.at if found.older and found.is_partial else None
    context = admin.site.each_context(request) | {
        "title": _("Activity"),
        "form": form,
        "rows": _rows(request, found.events),
        "searched_until": formatting.when(until) if until else "",
        "older_url": _url(request, before=older) if older else "",
        "newest_url": _url(request) if request.GET.get("before") else "",
        "exports": [
            (name.upper(), _url(request, format=name)) for name in exports.FORMATS
        ],
        "is_filtered": form.is_narrowed,
    }
    return TemplateResponse(
        request, "admin/images/activity.html", context, status=200 if is_valid else 400
    )


def newest(request: HttpRequest) -> list[dict[str, Any]]:
    """Return the ten newest events as rows for the front page. Checks no permission. Four queries."""
    return _rows(request, activity.page(Selection(), NEWEST, SEARCHED).events)


def _nothing() -> activity.Page:
    return activity.Page([], None)


def _url(request: HttpRequest, **changes: str) -> str:
    """Return the URL of the page "Activity" with the same filters, starting with the newest event.

    ``changes`` are query parameters that are added or replaced.
    """
    parameters = request.GET.copy()
    for name in [name for name, value in parameters.items() if not value]:
        del parameters[name]
    for name in ("before", "format"):
        parameters.pop(name, None)
    parameters.update(changes)
    query = parameters.urlencode()
    return f"{reverse('admin:activity')}?{query}"


# Rows


def _named(request: HttpRequest, events: Sequence[Record]) -> Iterator[Record]:
    """Yield each event with two more keys, ``event`` and ``project_name``. One query.

    ``event`` is a sentence that says what happened. The ``detail`` of an event is reduced to what
    the user can read.
    """
    caller = get_caller(request)
    projects = {pk for event in events for pk in event_texts.projects_in(event)}
    names = project_names(projects)
    for event in events:
        detail = _visible_detail(event, caller)
        yield {
            **event,
            "detail": detail,
            "event": event_texts.sentence(event, detail, names),
            "project_name": names.get(event["project"], ""),
        }


def _visible_detail(event: Record, caller: Any) -> dict[str, Any]:
    if event["kind"] == activity.FAMILY:
        return dict(event["detail"])
    return history.visible_detail(event, caller)


def _rows(request: HttpRequest, events: Sequence[Record]) -> list[dict[str, Any]]:
    """Return the rows that a page shows for ``events``. Two queries."""
    of_families = [e["subject"] for e in events if e["kind"] == activity.FAMILY]
    families = Family.objects.filter(pk__in=of_families)
    existing = set(families.values_list("pk", flat=True))
    return [
        _family_row(event, event["subject"] in existing)
        if event["kind"] == activity.FAMILY
        else _image_row(event)
        for event in _named(request, events)
    ]


def _image_row(event: Record) -> dict[str, Any]:
    moved = event["from_status"] != event["to_status"]
    return {
        **event,
        "ago": formatting.ago(event["at"]),
        "title": formatting.title(Image(name=event["subject_name"])),
        "url": reverse("admin:images_image_change", args=[event["subject"]]),
        "badge": formatting.badge(event["to_status"]) if moved else "",
    }


def _family_row(event: Record, exists: bool) -> dict[str, Any]:
    url = reverse("admin:images_family_change", args=[event["subject"]])
    return {
        **event,
        "ago": formatting.ago(event["at"]),
        "title": event["subject_name"],
        "url": url if exists else "",
    }


# Export


def _export(
    request: HttpRequest, selection: Selection, format: str
) -> HttpResponseBase:
    batches = (
        [_exported(event) for event in _named(request, events)]
        for events in activity.stream(selection, BATCH, SEARCHED_AT_ONCE)
    )
    name = f"activity-{timezone.now():%Y-%m-%d}"
    return exports.response(name, format, EXPORTED, batches)


def _exported(event: Record) -> Record:
    before, after = activity.OWN_COLUMNS[event["kind"]]
    return {
        **event,
        "subject": str(event["subject"]),
        "before": event[before],
        "after": event[after],
    }
