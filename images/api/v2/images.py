"""Images: create, list, show, update, delete."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.db.models import Q
from django.http import HttpResponse
from rest_framework.request import Request

from images import access, attributes, errors, lifecycle, listing, stores
from images.access import Caller, Target
from images.api.v2 import filters, patch, serializers
from images.http import public_url, request_body, responses
from images.http.views import ApiView, get_caller
from images.models import Status, rows
from images.models.rows import Row

Step = tuple[Status, patch.LocationStep]


class Images(ApiView):
    def get(self, request: Request, **kwargs: str) -> HttpResponse:
        caller = get_caller(request)
        access.check(caller, "get_images", {"owner": None})
        asked = filters.parse(request.query_params)
        # Only API v1 knows this status.
        asked = replace(asked, where=asked.where & ~Q(status=Status.KILLED))
        page = listing.page(caller, asked)
        full = bool(page) and len(page) == asked.limit
        marker = page[-1]["id"] if full else None
        return responses.json(
            {
                "images": [serializers.image(row, caller) for row in page],
                "schema": "/v2/schemas/images",
                **filters.links(request.query_params, marker),
            }
        )

    def post(self, request: Request, **kwargs: str) -> HttpResponse:
        caller = get_caller(request)
        fields, properties, tags = attributes.split_new(
            request_body.json(request._request)
        )
        fields.setdefault("owner", caller.project)
        _check_create(caller, access.new_image(fields, properties, tags))
        store_ids = ",".join(store.id for store in stores.configured())
        image = lifecycle.create(fields, properties, tags, caller)
        response = responses.json(serializers.image(rows.row_of(image), caller), 201)
        base = public_url.base(request._request)
        response.headers["Location"] = f"{base}/v2/images/{image.pk}"
        response.headers["OpenStack-image-store-ids"] = store_ids
        return response


class Image(ApiView):
    error_status: ClassVar = {patch.UnsupportedPatch: 415}
    error_headers: ClassVar = {
        patch.UnsupportedPatch: {"Accept-Patch": patch.ACCEPT_PATCH}
    }

    def get(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        request_body.refuse(request._request)
        caller = get_caller(request)
        return responses.json(
            serializers.image(access.get_image(caller, image_id), caller)
        )

    def patch(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        caller = get_caller(request)
        content_type = request.META.get("CONTENT_TYPE", "")
        operations = patch.parse(content_type, request_body.raw(request._request))
        image = access.get_image(caller, image_id, "modify_image")
        changes, moves = patch.plan(operations, image)
        steps = list(_location_steps(image, moves))
        _check_update(caller, image, changes.fields, steps)
        located = [_location_change(*step) for step in steps]
        lifecycle.update(image_id, changes, caller, located)
        return responses.json(serializers.image(access.see(caller, image_id), caller))

    def delete(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        request_body.refuse(request._request)
        caller = get_caller(request)
        access.get_image(caller, image_id, "delete_image")
        lifecycle.delete(image_id, caller)
        return responses.nothing()


def _check_create(caller: Caller, image: Target) -> None:
    if not caller.is_admin and image["owner"] != caller.project:
        raise errors.Forbidden(
            f"You are not permitted to create images owned by '{image['owner']}'."
        )
    access.check(caller, "add_image", image)
    access.check_visibility(caller, image, image["visibility"])


def _check_update(
    caller: Caller,
    image: Row,
    fields: Mapping[str, Any],
    steps: Iterable[Step],
) -> None:
    if "owner" in fields and not access.may(caller, "change_owner", image):
        raise errors.Forbidden("Owner can't be updated by non admin.")
    access.check_visibility(caller, image, fields.get("visibility"))
    for status, move in steps:
        for action in _location_actions(status, move):
            access.check(caller, action, image)


def _location_steps(image: Row, moves: Sequence[patch.LocationStep]) -> Iterator[Step]:
    """Each with the status that the image then has."""
    status, held = image["status"], len(image["locations"])
    for move in moves:
        yield status, move
        if move.op == "replace":
            held = len(move.value) if isinstance(move.value, list) else held
        else:
            held += 1 if move.op == "add" else -1
        status = Status.ACTIVE if held > 0 else Status.QUEUED


def _location_actions(status: Status, move: patch.LocationStep) -> list[str]:
    if move.op == "remove" or (move.op == "replace" and not move.value):
        return ["delete_image_location"]
    if move.op == "add" and status == Status.ACTIVE:
        return ["set_image_location", "add_location_to_active"]
    return ["set_image_location"]


def _location_change(
    status: Status, move: patch.LocationStep
) -> lifecycle.LocationChange:
    if move.op == "remove":
        assert move.index is not None  # only an add and a replace may leave it out
        return lifecycle.RemoveLocationAt(move.index)
    if move.op == "add":
        to_active = status == Status.ACTIVE  # it was asked who may
        return replace(lifecycle.AddLocation.parse(move.value), to_active=to_active)
    return lifecycle.ReplaceLocations.parse(move.value)
