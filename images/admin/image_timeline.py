"""The events of an image, prepared for its pages."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from images import activity, history
from images.access import Caller
from images.admin import event_details, event_texts, formatting


def rows(
    events: Iterable[Mapping[str, Any]], caller: Caller, names: Mapping[str, str]
) -> list[dict[str, Any]]:
    """Return the events of one image as rows for a page, the newest first.

    In ``events`` the oldest is first. The rows lack the custom properties that the caller cannot
    read. ``names`` are the names of projects, by id.
    """
    return [_row(event, caller, names) for event in events][::-1]


def _row(
    event: Mapping[str, Any], caller: Caller, names: Mapping[str, str]
) -> dict[str, Any]:
    detail = history.visible_detail(event, caller)
    return {
        **event,
        "text": event_texts.sentence({**event, "kind": activity.IMAGE}, detail, names),
        "ago": formatting.ago(event["at"]),
        "changes": event_details.rows(event, detail),
        "moved": event["from_status"] != event["to_status"],
        "from_badge": formatting.badge(event["from_status"]),
        "to_badge": formatting.badge(event["to_status"]),
    }
