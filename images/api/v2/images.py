"""API views that list, create, show, update and delete images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from django.db.models import Q
from django.http import HttpResponse
from rest_framework.request import Request

from images import (
    access,
    custom_properties,
    errors,
    imports,
    lifecycle,
    listing,
    stores,
)
from images.access import Caller, Target
from images.api import serializers
from images.api.v2 import filters, patch
from images.api.v2.image_locations import ImageLocationViewSet
from images.http import public_url, request_body, responses
from images.http.views import IMAGE_UUID, ApiViewSet, get_caller, get_reason
from images.models import Status, rows
from images.models.rows import Row


class ImageViewSet(ApiViewSet):
    """The images of the catalogue. Their data and sub-resources have views of their own."""

    lookup_url_kwarg = "image_id"
    lookup_value_regex = IMAGE_UUID
    error_status: ClassVar = {patch.UnsupportedPatch: 415}
    ignoring_body: ClassVar = {"list"}
    error_headers: ClassVar = {
        patch.UnsupportedPatch: {"Accept-Patch": patch.ACCEPT_PATCH}
    }

    def list(self, request: Request) -> HttpResponse:
        """Return a page of the images that the caller sees."""
        caller = get_caller(request)
        access.check(caller, "get_images", {"owner": None})
        query = filters.parse(request.query_params, caller)
        # Only API v1 has the status killed.
        query = replace(query, where=query.where & ~Q(status=Status.KILLED))
        page = listing.page(caller, query)
        return responses.json(
            {
                "images": [serializers.image(row, caller) for row in page.rows],
                "schema": "/v2/schemas/images",
                **filters.links(request.query_params, page.marker),
            }
        )

    def create(self, request: Request) -> HttpResponse:
        """Create an image from a JSON object, and return it. It is ``queued``: it has no data yet."""
        caller = get_caller(request)
        access.check_may_add(caller)
        fields, properties, tags = custom_properties.parse_new_image(
            request_body.json(request._request)
        )
        fields.setdefault("owner", caller.project)
        check_new(caller, access.new_image(fields, properties, tags))
        store_ids = ",".join(store.id for store in stores.configured())
        image = lifecycle.create(fields, properties, tags, caller)
        document = serializers.image(rows.row_of(image), caller)
        response = responses.json(document, 201)
        public_url.set_location(response, request._request, f"/v2/images/{image.pk}")
        response.headers["OpenStack-image-store-ids"] = store_ids
        response.headers["OpenStack-image-import-methods"] = ",".join(imports.names())
        return response

    def retrieve(self, request: Request, image_id: str) -> HttpResponse:
        """Return an image as a JSON object."""
        caller = get_caller(request)
        image = access.get_image(caller, image_id)
        return responses.json(serializers.image(image, caller))

    def partial_update(self, request: Request, image_id: str) -> HttpResponse:
        """Apply a JSON patch to an image's attributes, properties, tags and locations.

        Returns the changed image.
        """
        caller = get_caller(request)
        image = access.get_image(caller, image_id, "modify_image")
        content_type = request.META.get("CONTENT_TYPE", "")
        operations = patch.parse(content_type, request_body.raw(request._request))
        properties = access.readable(caller, image["properties"])
        changes, location_operations = patch.plan(operations, properties)
        _check_update(caller, image, changes.fields, location_operations)
        location_changes = ImageLocationViewSet.changes(image, location_operations)
        changed = access.Changed(image_id)
        lifecycle.update(image_id, changes, caller, location_changes, step=changed.step)
        return responses.json(serializers.image(changed.row(), caller))

    def destroy(self, request: Request, image_id: str) -> HttpResponse:
        """Delete an image; it goes to the trash if it has data and deletion is delayed."""
        caller = get_caller(request)
        permitted = access.permitting(caller, "delete_image")
        try:
            lifecycle.delete(image_id, caller, get_reason(request), step=permitted)
        except errors.Forbidden:
            # Only callers who can see the image learn that it exists.
            access.get_image(caller, image_id, "delete_image")
            raise
        return responses.nothing()


def check_new(caller: Caller, image: Target) -> None:
    """Raise Forbidden unless the caller is allowed to create this image."""
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
    location_operations: Sequence[patch.LocationOperation],
) -> None:
    if "owner" in fields and not access.may(caller, "change_owner", image):
        raise errors.Forbidden("Owner can't be updated by non admin.")
    access.check_visibility(caller, image, fields.get("visibility"))
    for rule in ImageLocationViewSet.rules(image, location_operations):
        access.check(caller, rule, image)
    ImageLocationViewSet.check_positions(caller, image, location_operations)
