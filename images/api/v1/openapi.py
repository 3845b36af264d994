"""The OpenAPI description of the Image API v1."""

from __future__ import annotations

from typing import Any

from images import image_document
from images.api.v1 import filters, headers
from images.api.v1.images import ImageViewSet
from images.api.v1.members import ImageMemberViewSet, SharedImageViewSet
from images.http import openapi
from images.http.openapi import (
    BYTES,
    FLAG,
    NOT_EMPTY,
    NUMBER,
    NUMBER_OR_NULL,
    OBJECT,
    REASON,
    TEXT,
    TEXT_OR_NULL,
    UUID,
    Document,
    answer,
    empty,
    fields,
    json_body,
    many,
    operation,
    parameter,
    queries,
    ref,
)

IMAGE = "/v1/images/{image_id}"
IMAGE_ID = parameter("path", "image_id", UUID)
MEMBER_ID = parameter("path", "member_id", NOT_EMPTY)
UPLOAD = (409, 412, 415)
CONDITIONS = openapi.headers(TEXT, "If-Match", "If-None-Match")
METADATA = "The metadata is in headers that begin with x-image-meta-."


def paths() -> Document:
    """Return the OpenAPI operations of API v1: path -> method -> operation."""
    return openapi.tagged("Image API v1", {**_images(), **_image(), **_members()})


def _images() -> Document:
    page = {200: answer(fields(images=many(ref("ImageV1"))))}
    return {
        "/v1/images": {
            "get": operation(ImageViewSet.list, page, (413,), parameters=_listing()),
            "post": operation(
                ImageViewSet.create,
                {
                    201: answer(
                        fields(image=ref("ImageV1")), "Done.", "Location", "ETag"
                    )
                },
                UPLOAD,
                parameters=_meta(),
                body=BYTES,
            ),
        },
        "/v1/images/detail": {
            "get": operation(ImageViewSet.detailed, page, (413,), parameters=_listing())
        },
    }


def _image() -> Document:
    data = answer({}, f"The data. {METADATA}", "ETag", media_type=openapi.OCTETS)
    same = {304: empty("The client has the data.")}
    one = [IMAGE_ID, *CONDITIONS]
    ranges = openapi.headers(TEXT, "Range", "If-Range")
    return {
        IMAGE: {
            "get": operation(
                ImageViewSet.retrieve,
                {200: data, 206: data, **same},
                (412, 416),
                parameters=[*one, *ranges],
            ),
            "head": operation(
                ImageViewSet.metadata,
                {200: empty(METADATA, "ETag"), **same},
                (412,),
                parameters=one,
            ),
            "put": operation(
                ImageViewSet.update,
                {200: answer(fields(image=ref("ImageV1")))},
                UPLOAD,
                parameters=[*one, *_meta()],
                body=BYTES,
            ),
            "delete": operation(
                ImageViewSet.destroy,
                {200: empty()},
                (409, 412),
                parameters=[*one, REASON],
            ),
        }
    }


def _members() -> Document:
    path, done = f"{IMAGE}/members", {204: empty()}
    views: Any = ImageMemberViewSet
    flag = {"can_share": {"type": ["boolean", "string", "null"]}}
    members = many(fields("member_id", member_id=TEXT, **flag))
    shared = many(fields(image_id=TEXT, **flag))
    one = [IMAGE_ID, MEMBER_ID]
    return {
        path: {
            "get": operation(
                views.list,
                {200: answer(fields(members=members))},
                parameters=[IMAGE_ID],
            ),
            "put": operation(
                views.replace,
                done,
                (409,),
                parameters=[IMAGE_ID],
                body=json_body(fields("memberships", memberships=members)),
            ),
        },
        f"{path}/{{member_id}}": {
            "put": operation(
                views.update,
                done,
                (409,),
                parameters=one,
                body=json_body(fields(member=fields(**flag)), required=False),
            ),
            "delete": operation(views.destroy, done, (409,), parameters=one),
        },
        "/v1/shared-images/{member_id}": {
            "get": operation(
                SharedImageViewSet.retrieve,
                {200: answer(fields(shared_images=shared))},
                parameters=[MEMBER_ID],
            )
        },
    }


def _listing() -> list[Document]:
    flags = {"enum": [*filters.BOOLEANS]}
    return [
        *queries(TEXT, *filters.TEXTS, "marker", "changes-since", "sort_key"),
        *queries(NUMBER, *filters.NUMBERS, "limit"),
        *queries(flags, "is_public", "protected", "deleted"),
        *queries({"enum": ["asc", "desc"]}, "sort_dir"),
    ]


def _meta() -> list[Document]:
    names = [f"x-image-meta-{name}" for name in headers.FIELDS]
    copy_from, purge = "x-glance-api-copy-from", "x-glance-registry-purge-props"
    return openapi.headers(TEXT, *names, copy_from, purge)


def components() -> Document:
    """Return the OpenAPI schemas of the bodies of API v1, by name."""
    properties: Document = {
        **dict.fromkeys((*image_document.PLAIN, "deleted_at"), TEXT_OR_NULL),
        **dict.fromkeys(
            ("size", "virtual_size", "min_disk", "min_ram"), NUMBER_OR_NULL
        ),
        **dict.fromkeys(("is_public", "protected", "deleted"), FLAG),
        **dict.fromkeys(("created_at", "updated_at"), TEXT),
        "properties": OBJECT | {"additionalProperties": TEXT},
    }
    return {"ImageV1": fields(**properties)}
