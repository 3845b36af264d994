"""Images: lists, create, show, download, update, delete. Metadata is in headers."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from django.http import HttpRequest, HttpResponse, HttpResponseBase
from rest_framework.request import Request

from images import access, errors, lifecycle, listing
from images.access import Caller, Target
from images.api.v1 import filters, headers, metadata, serializers, sources
from images.api.v1.headers import Meta
from images.api.v1.sources import Sources
from images.api.v1.views import V1View
from images.http import public_url, request_body, responses, streaming
from images.http.views import get_caller
from images.models import READABLE_STATUSES, Status
from images.models.rows import Row


class Images(V1View):
    def get(self, request: Request, **kwargs: str) -> HttpResponse:
        return _page(request, serializers.brief)

    def post(self, request: Request, **kwargs: str) -> HttpResponse:
        caller, meta = get_caller(request), headers.decode(request._request)
        source = sources.of(request._request, meta)
        fields = metadata.new(meta, caller, needs_formats=any(source))
        image = access.new_image(fields, meta.properties, [])
        access.check(caller, "add_image", image)
        access.check_visibility(caller, image, image["visibility"])
        image_id = _create(request._request, caller, meta, source, fields, image)
        row = access.see(caller, image_id, deleted=True)
        response = responses.json({"image": serializers.image(row)}, 201)
        base = public_url.base(request._request)
        response.headers["Location"] = f"{base}/v1/images/{image_id}"
        if row["checksum"]:
            response.headers["ETag"] = row["checksum"]
        return response


class Details(V1View):
    http_method_names = ["get"]

    def get(self, request: Request, **kwargs: str) -> HttpResponse:
        return _page(request, serializers.image)


class Image(V1View):
    http_method_names = ["get", "head", "put", "delete"]

    def head(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        row = _find(get_caller(request), image_id, "get_image")
        response = responses.nothing(200)
        _describe(response, row)
        return response

    def get(self, request: Request, image_id: str, **kwargs: str) -> HttpResponseBase:
        request_body.refuse(request._request)
        caller = get_caller(request)
        row = access.get_image(caller, image_id, "download_image")
        access.check_download(caller, row)
        if row["status"] not in READABLE_STATUSES:
            raise errors.NotFound(f"Image {image_id} is not active")
        size = row["size"] or 0
        part = streaming.content_range(request._request, size)
        blocks = lifecycle.read(image_id, *(part or (0, size)))
        response = streaming.download(
            blocks, size, part, row["checksum"], streaming.socket_of(request._request)
        )
        _describe(response, row)
        return response

    def put(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        caller, meta = get_caller(request), headers.decode(request._request)
        source = sources.of(request._request, meta)
        row = _find(caller, image_id, "modify_image")
        if row["deleted_at"]:
            raise errors.Forbidden("Forbidden to update deleted image.")
        _update(request._request, caller, meta, source, row)
        row = access.see(caller, image_id, deleted=True)
        return responses.json({"image": serializers.image(row)})

    def delete(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        request_body.refuse(request._request)
        caller = get_caller(request)
        row = _find(caller, image_id, "delete_image")
        if row["status"] == Status.PENDING_DELETE:
            raise errors.Forbidden("Forbidden to delete a pending_delete image.")
        lifecycle.delete(image_id, caller)
        return responses.nothing(200)


def _page(request: Request, serialize: Callable[[Row], dict[str, Any]]) -> HttpResponse:
    caller = get_caller(request)
    access.check(caller, "get_images", {"owner": None})
    page = listing.page(caller, filters.parse(request.query_params, caller))
    return responses.json({"images": [serialize(row) for row in page]})


def _find(caller: Caller, image_id: str, action: str) -> Row:
    """An admin is told of deleted images too."""
    return access.get_image(caller, image_id, action, deleted=caller.is_admin)


def _describe(response: HttpResponseBase, row: Row) -> None:
    for name, value in headers.encode(row).items():
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
        return create(copied=sources.copied(request, meta, source.copy_from)).pk
    if source.location:
        access.check(caller, "set_image_location", image)
        return create(location=sources.located(request, meta, source.location)).pk
    if not source.has_body:
        return create(size=size).pk
    access.check(caller, "upload_image", image)
    brought = sources.brought(request, meta)
    image_id = create(size=size or None).pk
    lifecycle.upload(image_id, sources.blocks(request), caller, **brought)
    return image_id


def _update(
    request: HttpRequest, caller: Caller, meta: Meta, source: Sources, row: Row
) -> None:
    changes = metadata.changes(meta, row, caller, source)
    access.check_visibility(caller, row, changes.fields.get("visibility"))
    if source.has_body:
        access.check(caller, "upload_image", row)
        brought = sources.brought(request, meta)
        blocks = sources.blocks(request)
        lifecycle.upload(row["id"], blocks, caller, changes=changes, **brought)
    elif source.copy_from:
        access.check(caller, "copy_from", row)
        copied = sources.copied(request, meta, source.copy_from)
        lifecycle.request_fetch(row["id"], copied, changes, caller)
    elif source.location:
        access.check(caller, "set_image_location", row)
        location = sources.located(request, meta, source.location)
        lifecycle.update(row["id"], changes, caller, [location])
    else:
        lifecycle.update(row["id"], changes, caller)
