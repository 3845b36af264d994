"""Images in API v1: list, create, show, download, update and delete."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.decorators import action
from rest_framework.request import Request

from images import access, errors, lifecycle, listing
from images.access import Caller, Target
from images.api import data_responses, transfer_shares
from images.api.v1 import filters, headers, metadata, serializers, sources
from images.api.v1.headers import Meta
from images.api.v1.sources import Sources
from images.api.v1.views import V1ViewSet
from images.http import preconditions, public_url, responses, streaming
from images.http.views import IMAGE_UUID, get_caller, get_reason
from images.models import READABLE_STATUSES, Status
from images.models.rows import Row


class ImageViewSet(V1ViewSet):
    """``/v1/images``: the images. API v1 sends the metadata of an image in headers."""

    lookup_url_kwarg = "image_id"
    lookup_value_regex = IMAGE_UUID

    def list(self, request: Request) -> HttpResponse:
        """Return a page of the images that the caller sees, with their main attributes only."""
        return _page(request, serializers.brief)

    @action(detail=False, methods=["get"], url_path="detail/?")
    def detailed(self, request: Request) -> HttpResponse:
        """Return a page of the images that the caller sees, with all their attributes."""
        return _page(request, serializers.image)

    def create(self, request: Request) -> HttpResponse:
        """Create an image, and return its metadata.

        Its data can be in the body of the request, or at a URL that a header names.
        """
        caller, meta = get_caller(request), headers.decode(request._request)
        source = sources.of(request._request, meta)
        fields = metadata.new(meta, caller, needs_formats=any(source))
        image = access.new_image(fields, meta.properties, [])
        access.check(caller, "add_image", image)
        access.check_visibility(caller, image, image["visibility"])
        image_id = _create(request._request, caller, meta, source, fields, image)
        row = access.current(image_id)
        response = responses.spaced_json({"image": serializers.image(row, caller)}, 201)
        public_url.set_location(response, request._request, f"/v1/images/{image_id}")
        if row["checksum"]:
            response.headers["ETag"] = row["checksum"]
        return response

    def metadata(self, request: Request, image_id: str) -> HttpResponse:
        """Return an image's metadata as headers, without its data (HEAD)."""
        caller = get_caller(request)
        row = _find(caller, image_id, "get_image")
        if preconditions.has_current(request._request, row["checksum"]):
            return responses.not_modified(row["checksum"])
        if row["status"] in READABLE_STATUSES:
            response = streaming.description(row["size"] or 0, row["checksum"])
            if not lifecycle.serves_ranges(row):
                streaming.without_ranges(response)
        else:
            response = responses.nothing(200)
        _describe(response, row, caller)
        return response

    def retrieve(self, request: Request, image_id: str) -> HttpResponseBase:
        """Send an image's data, with its metadata as headers."""
        caller = get_caller(request)
        row = access.get_image(caller, image_id, "download_image")
        lifecycle.check_download(caller, row)
        if row["status"] not in READABLE_STATUSES:
            raise errors.NotFound(f"Image {image_id} is not active")
        http, checksum = request._request, row["checksum"]
        if preconditions.has_current(http, checksum):
            return responses.not_modified(checksum)
        response = data_responses.send(
            http,
            caller,
            row,
            etag=checksum,
            allow_damaged=lifecycle.allows_damaged(caller, row),
        )
        _describe(response, row, caller)
        return response

    def update(self, request: Request, image_id: str) -> HttpResponse:
        """Change an image's metadata, and return it.

        If the image is queued, the request can also add its data.
        """
        caller, meta = get_caller(request), headers.decode(request._request)
        source = sources.of(request._request, meta)
        row = _find(caller, image_id, "modify_image")
        preconditions.has_current(request._request, row["checksum"])
        if row["deleted_at"]:
            raise errors.Forbidden("Forbidden to update deleted image.")
        _update(request._request, caller, meta, source, row)
        row = access.current(image_id)
        return responses.spaced_json({"image": serializers.image(row, caller)})

    def destroy(self, request: Request, image_id: str) -> HttpResponse:
        """Delete an image; it goes to the trash if it has data and deletion is delayed."""
        caller = get_caller(request)
        row = _find(caller, image_id, "delete_image")
        preconditions.has_current(request._request, row["checksum"])
        if row["status"] == Status.PENDING_DELETE:
            raise errors.Forbidden("Forbidden to delete a pending_delete image.")
        lifecycle.delete(image_id, caller, get_reason(request))
        return responses.nothing(200)


class ImageRootViewSet(ImageViewSet):
    """The paths ``/v1/`` and ``/v1/images/``, at which images can only be listed and created."""

    def http_method_not_allowed(  # type: ignore[override]
        self, request: Request, *args: Any, **kwargs: Any
    ) -> HttpResponse:
        """Raise NotFound for methods other than GET and POST: they need the path of an image."""
        raise errors.NotFound("The resource could not be found.")


def _page(
    request: Request, serialize: Callable[[Row, Caller], dict[str, Any]]
) -> HttpResponse:
    caller = get_caller(request)
    access.check(caller, "get_images", {"owner": None})
    page = listing.page(caller, filters.parse(request.query_params, caller))
    if page.is_cut:
        # API v1 has no link to the next page: its clients take a short page for the last one.
        raise errors.OverLimit(
            "The images on this page have too much metadata together. "
            f"Ask for fewer with the parameter limit, such as limit={len(page.rows)}."
        )
    return responses.spaced_json(
        {"images": [serialize(row, caller) for row in page.rows]}
    )


def _find(caller: Caller, image_id: str, action: str) -> Row:
    """Return the row of an image that the caller can see and on which the action is allowed.

    Admins also see deleted images. Raises NotFound for an image that the caller does not see,
    Forbidden if the action is not allowed.
    """
    return access.get_image(caller, image_id, action, deleted=caller.is_admin)


def _describe(response: HttpResponseBase, row: Row, caller: Caller) -> None:
    for name, value in headers.encode(row, caller).items():
        response.headers[name] = value


def _create(
    request: HttpRequest,
    caller: Caller,
    meta: Meta,
    source: Sources,
    fields: dict[str, Any],
    image: Target,
) -> str:
    create = partial(lifecycle.create, fields, meta.properties, [], caller)
    size = sources.size(request, meta)
    if source.copy_from:
        access.check(caller, "copy_from", image)
        return create(copied=sources.fetch_source(request, meta, source.copy_from)).pk
    if source.location:
        access.check(caller, "set_image_location", image)
        return create(location=sources.location(request, meta, source.location)).pk
    if not source.has_body:
        return create(size=size).pk
    access.check(caller, "upload_image", image)
    options = sources.upload_options(request, meta)
    with transfer_shares.upload(request, caller):
        image_id = create(size=size or None).pk
        lifecycle.upload(image_id, sources.blocks(request), caller, **options)
    return image_id


def _update(
    request: HttpRequest, caller: Caller, meta: Meta, source: Sources, row: Row
) -> None:
    changes = metadata.changes(meta, row, caller, source)
    access.check_visibility(caller, row, changes.fields.get("visibility"))
    if source.has_body:
        access.check(caller, "upload_image", row)
        options = sources.upload_options(request, meta)
        blocks = sources.blocks(request)
        with transfer_shares.upload(request, caller):
            lifecycle.upload(row["id"], blocks, caller, changes=changes, **options)
    elif source.copy_from:
        access.check(caller, "copy_from", row)
        fetch = sources.fetch_source(request, meta, source.copy_from)
        lifecycle.request_fetch(row["id"], fetch, changes, caller)
    elif source.location:
        access.check(caller, "set_image_location", row)
        location = sources.location(request, meta, source.location)
        lifecycle.update(row["id"], changes, caller, [location])
    else:
        lifecycle.update(row["id"], changes, caller)
