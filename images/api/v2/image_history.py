"""The API view of an image's history, even of a deleted image (an extension of the Image API)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, attributes, errors, history
from images.access import Caller
from images.api import query
from images.http import responses
from images.http.views import ApiViewSet, get_caller

TIMES: Final = ("since", "until")
# Parameters that the link to the next page repeats.
REPEATED: Final = ("actor", "interface", "door", *TIMES, "limit")
# Callers can see attributes and members, so they see the details of their changes. Details
# of other events could reveal where the operator keeps data: callers see only harmless ones.
SHOWN_IN_FULL: Final = frozenset(
    (
        "create",
        "update",
        "add_member",
        "change_member",
        "remove_member",
        "set_member_status",
    )
)
HARMLESS: Final = frozenset({"size"})

Params = Mapping[str, str]
Handover = tuple[int, datetime] | None  # id and time of the last change of owner


class ImageHistoryViewSet(ApiViewSet):
    """``/v2/images/{id}/history``: the events of an image, oldest first."""

    def list(self, request: Request, image_id: str) -> HttpResponse:
        """Return a page of an image's events, and the error of its last transfer.

        The error is null if that transfer has not failed.
        """
        caller, params = get_caller(request), _params(request)
        access.get_remembered_image(caller, image_id, "get_image_history")
        page = history.events(
            image_id,
            **_filters(params),
            after=query.number_marker(params),
            limit=query.page_length(params),
        )
        # A new owner must not read the values that the image had under its earlier owner.
        handover = None if caller.is_admin else history.last_change_of_owner(image_id)
        document: dict[str, Any] = {
            "history": [_event(event, caller, handover) for event in page.events],
            "last_error": _last_error(history.last_error(image_id), handover),
        }
        if page.has_more:
            document["next"] = _next(image_id, params, page.events[-1]["id"])
        return responses.json(document)


def _params(request: Request) -> Params:
    return {name: str(value) for name, value in request.query_params.items()}


def _filters(params: Params) -> dict[str, Any]:
    filters: dict[str, Any] = {
        name: query.instant(name, params[name])[0] for name in TIMES if name in params
    }
    if "actor" in params:
        filters["actor"] = attributes.clean_text(params["actor"], "actor")
    # "door" is the old name of the filter.
    for name in ("door", "interface"):
        if name in params:
            filters["interface"] = _interface(params[name])
    return filters


def _interface(text: str) -> str:
    if text not in access.INTERFACES:
        raise errors.Invalid(
            f"The interface must be one of: {', '.join(access.INTERFACES)}."
        )
    return text


def _next(image_id: str, params: Params, last: int) -> str:
    repeated = [(name, params[name]) for name in REPEATED if name in params]
    return f"/v2/images/{image_id}/history?{urlencode([*repeated, ('marker', last)])}"


def _event(
    event: Mapping[str, Any], caller: Caller, handover: Handover
) -> dict[str, Any]:
    """Return an event as a JSON object, without the details that the caller is not allowed to see.

    ``handover`` is the last change of the image's owner, or None if all values are to be shown. In
    events up to that change, null replaces every value of the details except the owner, so that a
    new owner does not read what the image had before.
    """
    shown = {
        **event,
        "detail": history.visible_detail(event, caller),
        "at": responses.instant(event["at"]),
        "door": event["interface"],  # the old name of the field, for one more release
    }
    if not caller.is_admin and event["verb"] not in SHOWN_IN_FULL:
        detail = event["detail"].items()
        shown["detail"] = {name: value for name, value in detail if name in HARMLESS}
    if handover and event["id"] <= handover[0]:
        shown["detail"] = {
            name: value if name == "owner" else None
            for name, value in shown["detail"].items()
        }
    return shown


def _last_error(
    error: Mapping[str, Any] | None, handover: Handover
) -> dict[str, Any] | None:
    if error is None:
        return None
    is_older = handover is not None and error["at"] < handover[1]
    return {
        "code": error["code"],
        "message": None if is_older else error["error"],
        "request_id": error["request_id"],
        "time": responses.instant(error["at"]),
    }
