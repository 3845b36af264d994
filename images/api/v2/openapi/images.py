"""The OpenAPI description of images, their tags, members, locations, actions and history."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from images.access import INTERFACES
from images.api import query
from images.api.v2 import filters, patch, schemas
from images.api.v2.image_actions import ImageActionViewSet
from images.api.v2.image_history import ImageHistoryViewSet
from images.api.v2.image_locations import VALIDATION_ALGORITHMS, ImageLocationViewSet
from images.api.v2.image_members import ImageMemberViewSet
from images.api.v2.image_tags import ImageTagViewSet
from images.api.v2.images import ImageViewSet
from images.attributes import VISIBILITIES
from images.http.openapi import (
    FLAG,
    NOT_EMPTY,
    NUMBER,
    OBJECT,
    REASON,
    TEXT,
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
from images.models import MemberStatus

IMAGE = "/v2/images/{image_id}"
IMAGE_ID = parameter("path", "image_id", UUID)
CREATED = ("Location", "OpenStack-image-store-ids", "OpenStack-image-import-methods")


def paths() -> Document:
    """Return the OpenAPI operations of images and their sub-resources: path -> method -> operation."""
    return {
        "/v2/images": {
            "get": operation(
                ImageViewSet.list, {200: answer(ref("Images"))}, parameters=_listing()
            ),
            "post": operation(
                ImageViewSet.create,
                {201: answer(ref("Image"), "The image is created.", *CREATED)},
                (409,),
                body=json_body(ref("NewImage")),
            ),
        },
        IMAGE: {
            "get": _one(ImageViewSet.retrieve, {200: answer(ref("Image"))}),
            "patch": operation(
                ImageViewSet.partial_update,
                {200: answer(ref("Image"))},
                (409, 410, 415),
                parameters=[IMAGE_ID],
                body=_patches(),
            ),
            "delete": operation(
                ImageViewSet.destroy,
                {204: empty()},
                (409,),
                parameters=[IMAGE_ID, REASON],
            ),
        },
        **_tags_and_actions(),
        **_members(),
        **_locations(),
        f"{IMAGE}/history": {
            "get": operation(
                ImageHistoryViewSet.list,
                {200: answer(ref("History"))},
                parameters=[IMAGE_ID, *_events()],
            )
        },
    }


def _one(
    view: Callable[..., Any], answers: dict[int, Document], *refusals: int
) -> Document:
    return operation(view, answers, refusals, parameters=[IMAGE_ID])


def _tags_and_actions() -> Document:
    tag = [IMAGE_ID, parameter("path", "tag", NOT_EMPTY)]
    done = {204: empty()}
    explained = [IMAGE_ID, REASON]
    return {
        f"{IMAGE}/tags/{{tag}}": {
            "put": operation(ImageTagViewSet.update, done, (409, 413), parameters=tag),
            "delete": operation(ImageTagViewSet.destroy, done, (409,), parameters=tag),
        },
        f"{IMAGE}/actions/deactivate": {
            "post": operation(
                ImageActionViewSet.deactivate, done, (409,), parameters=explained
            )
        },
        f"{IMAGE}/actions/reactivate": {
            "post": operation(
                ImageActionViewSet.reactivate, done, (409,), parameters=explained
            )
        },
        f"{IMAGE}/actions/restore": {
            "post": operation(
                ImageActionViewSet.restore, done, (409, 413), parameters=explained
            )
        },
    }


def _members() -> Document:
    path = f"{IMAGE}/members"
    one = [IMAGE_ID, parameter("path", "member_id", NOT_EMPTY)]
    member = {200: answer(ref("Member"))}
    status = json_body(fields("status", status={"enum": MemberStatus.values}))
    views = ImageMemberViewSet
    return {
        path: {
            "get": _one(views.list, {200: answer(ref("Members"))}),
            "post": operation(
                views.create,
                member,
                (409,),
                parameters=[IMAGE_ID],
                body=json_body(fields("member", member=TEXT)),
            ),
        },
        f"{path}/{{member_id}}": {
            "get": operation(views.retrieve, member, parameters=one),
            "put": operation(views.update, member, (409,), parameters=one, body=status),
            "delete": operation(views.destroy, {204: empty()}, (409,), parameters=one),
        },
    }


def _locations() -> Document:
    digest = fields(
        "os_hash_algo",
        "os_hash_value",
        os_hash_algo={"enum": list(VALIDATION_ALGORITHMS)},
        os_hash_value=TEXT,
    )
    location = fields(url=TEXT, metadata=OBJECT)
    return {
        f"{IMAGE}/locations": {
            "get": _one(ImageLocationViewSet.list, {200: answer(many(location))}),
            "post": operation(
                ImageLocationViewSet.create,
                {202: empty("The background worker reads the data.")},
                (409, 410, 415),
                parameters=[IMAGE_ID],
                body=json_body(fields("url", url=TEXT, validation_data=digest)),
            ),
        }
    }


def _listing() -> list[Document]:
    texts = (*filters.TEXTS, *filters.PLAIN, *filters.TIMES, "marker", "tag")
    limits = [f"{name}_{end}" for name in filters.NUMBERS for end in ("min", "max")]
    sort = {"examples": ["name:asc,created_at:desc"]}
    return [
        *queries(TEXT, *texts),
        *queries(NUMBER, "limit", *filters.NUMBERS, *limits),
        *queries({"enum": [*VISIBILITIES, "all"]}, "visibility"),
        *queries({"enum": list(filters.MEMBER_STATUSES)}, "member_status"),
        *queries({"enum": list(query.SORT_KEYS)}, "sort_key"),
        *queries({"enum": ["asc", "desc"]}, "sort_dir"),
        *queries(TEXT | sort, "sort"),
        *queries(FLAG, "protected", "os_hidden"),
    ]


def _events() -> list[Document]:
    interfaces = {"enum": list(INTERFACES)}
    return [
        *queries(TEXT, "actor", "since", "until"),
        *queries(interfaces, "interface"),
        *queries(interfaces | {"deprecated": True}, "door"),
        *queries(NUMBER, "limit", "marker"),
    ]


def _patches() -> Document:
    dialects = {
        patch.V2_1: ref("PatchOperation"),
        patch.V2_0: ref("DraftPatchOperation"),
    }
    content = {name: {"schema": many(one)} for name, one in dialects.items()}
    return {"required": True, "content": content}


def components() -> Document:
    """Return the OpenAPI schemas of the bodies of images and their sub-resources, by name."""
    settable = {
        name: field
        for name, field in schemas.plain_image()["properties"].items()
        if not field.get("readOnly") and name != "locations"
    }
    new_image = fields(**settable) | {"additionalProperties": TEXT}
    event = fields(
        id=NUMBER,
        **dict.fromkeys(("at", "verb", "from_status", "to_status", "reason"), TEXT),
        detail=OBJECT,
    )
    error = {"type": ["object", "null"]}
    return {
        "NewImage": new_image,
        "JsonPointer": TEXT | {"examples": ["/name", "/tags", "/locations/-"]},
        "PatchOperation": fields(
            "op",
            "path",
            op={"enum": list(patch.OPS)},
            path=ref("JsonPointer"),
            value={},
        ),
        "DraftPatchOperation": fields(
            **dict.fromkeys(patch.OPS, ref("JsonPointer")), value={}
        ),
        "History": fields(history=many(event), last_error=error, next=TEXT),
    }
