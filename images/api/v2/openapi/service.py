"""The OpenAPI description of operations about the service: schemas, stores, limits and cache."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from images.api.v2 import discovery, info
from images.api.v2.image_cache import CLEARED, ImageCacheViewSet
from images.api.v2.openapi.images import IMAGE_ID
from images.http.openapi import (
    NUMBER,
    OBJECT,
    TEXT,
    Document,
    answer,
    empty,
    fields,
    many,
    operation,
    parameter,
)


def paths() -> Document:
    """Return the OpenAPI operations of schemas, stores, limits and cache: path -> method -> operation."""
    name = parameter("path", "name", {"enum": [*discovery.DOCUMENTS]})
    return {
        "/v2/schemas/{name}": {
            "get": operation(
                discovery.SchemaViewSet.retrieve,
                {200: answer(OBJECT)},
                parameters=[name],
            )
        },
        **_info(),
        **_cache(),
    }


def _info() -> Document:
    store = fields(
        "id", **dict.fromkeys(("id", "description", "default", "read-only"), TEXT)
    )
    detail = fields(type=TEXT, weight=NUMBER, properties=OBJECT)
    methods = fields(description=TEXT, type=TEXT, value=many(TEXT))
    usage = {"additionalProperties": fields(usage=NUMBER, limit=NUMBER)}
    answers: dict[str, tuple[Callable[..., Any], Document]] = {
        "import": (info.ImportInfoViewSet.list, fields(**{"import-methods": methods})),
        "stores": (info.StoreInfoViewSet.list, fields(stores=many(store))),
        "stores/detail": (
            info.StoreInfoViewSet.details,
            fields(stores=many({"allOf": [store, detail]})),
        ),
        "usage": (info.UsageViewSet.list, fields(usage=OBJECT | usage)),
    }
    return {
        f"/v2/info/{path}": {"get": operation(view, {200: answer(schema)})}
        for path, (view, schema) in answers.items()
    }


def _cache() -> Document:
    views, image = ImageCacheViewSet, [IMAGE_ID]
    target = parameter(
        "header", "x-image-cache-clear-target", {"enum": [*filter(None, CLEARED)]}
    )
    cached = fields(
        image_id=TEXT,
        checksum=TEXT,
        size=NUMBER,
        hits=NUMBER,
        last_accessed={"type": "number"},
        last_modified={"type": "number"},
    )
    contents = fields(cached_images=many(cached), queued_images=many(TEXT))
    pruned = fields(total_files_pruned=NUMBER, total_bytes_pruned=NUMBER)
    return {
        "/v2/cache": {
            "get": operation(views.list, {200: answer(contents)}),
            "delete": operation(views.clear, {204: empty()}, parameters=[target]),
        },
        "/v2/cache/{image_id}": {
            "put": operation(
                views.update,
                {202: empty("The background worker caches the image.")},
                (409,),
                parameters=image,
            ),
            "delete": operation(views.destroy, {204: empty()}, parameters=image),
        },
        "/v2/cache/clean": {"post": operation(views.clean, {200: empty()})},
        "/v2/cache/prune": {"post": operation(views.prune, {200: answer(pruned)})},
        "/v2/cache/nodes/{image_id}": {
            "get": operation(
                views.nodes,
                {},
                (409,),
                parameters=image,
            )
        },
    }
