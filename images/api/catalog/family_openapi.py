"""The OpenAPI description of families."""

from __future__ import annotations

from images.api.catalog.families import FAMILIES, FamilyViewSet
from images.api.catalog.family_versions import FamilyVersionViewSet
from images.families.listing import STATES
from images.http.openapi import (
    FLAG,
    NOT_EMPTY,
    NUMBER,
    NUMBER_OR_NULL,
    OBJECT,
    PAGING,
    REASON,
    TEXT,
    TEXT_OR_NULL,
    UUID,
    Document,
    answer,
    empty,
    fields,
    headers,
    json_body,
    many,
    operation,
    page_of,
    parameter,
    queries,
    ref,
)
from images.models import FamilyScope, Naming

FAMILY = parameter("path", "family", NOT_EMPTY, "The id or the name of a family.")
LABEL = parameter("path", "label", NOT_EMPTY, "The label of a version.")
CHANGING = [*headers(TEXT, "If-Match"), REASON]
TEXTS = ("title", "description", "homepage", "image_name", "name_separator")
ONE = f"{FAMILIES}/{{family}}"


def paths() -> Document:
    """Return the OpenAPI operations of families: path -> method -> operation."""
    found = {200: answer(ref("Family"), "Done.", "ETag")}
    return {
        FAMILIES: {
            "get": operation(
                FamilyViewSet.list,
                {200: answer(page_of("families", ref("Family")))},
                (409,),
                parameters=[*queries(TEXT, "name", "scope", "image"), *PAGING],
            ),
            "post": operation(
                FamilyViewSet.create,
                {
                    201: answer(
                        ref("Family"), "The family is created.", "Location", "ETag"
                    )
                },
                (409,),
                parameters=[REASON],
                body=json_body(ref("NewFamily")),
            ),
        },
        ONE: {
            "get": operation(
                FamilyViewSet.retrieve, found, (409,), parameters=[FAMILY]
            ),
            "patch": operation(
                FamilyViewSet.partial_update,
                found,
                (409, 412),
                parameters=[FAMILY, *CHANGING],
                body=json_body(ref("NewFamily")),
            ),
            "delete": operation(
                FamilyViewSet.destroy,
                {204: empty()},
                (409, 412),
                parameters=[FAMILY, *CHANGING],
            ),
        },
        f"{ONE}/promote": {
            "post": operation(
                FamilyViewSet.promote,
                found,
                (409, 412),
                parameters=[FAMILY, *CHANGING],
                body=json_body(fields("version", version=TEXT)),
            )
        },
        f"{ONE}/rollback": {
            "post": operation(
                FamilyViewSet.rollback,
                found,
                (409, 412),
                parameters=[FAMILY, *CHANGING],
                body=json_body(fields(withdraw=FLAG), required=False),
            )
        },
        **_current(),
        f"{ONE}/history": {
            "get": operation(
                FamilyViewSet.history,
                {200: answer(page_of("history", ref("FamilyEvent")))},
                (409,),
                parameters=[FAMILY, *PAGING],
            )
        },
        **_versions(),
    }


def _current() -> Document:
    image = answer(ref("Image"), "Done.", "ETag", "Content-Location")
    data = {307: empty("The data is at Location.", "Location", "Cache-Control")}
    file = operation(FamilyViewSet.file, data, (409,), parameters=[FAMILY])
    return {
        f"{ONE}/image": {
            "get": operation(
                FamilyViewSet.image,
                {200: image, 304: empty("The client has this image.", "ETag")},
                (409, 412),
                parameters=[FAMILY, *headers(TEXT, "If-None-Match")],
            )
        },
        f"{ONE}/file": {
            "get": file,
            "head": file | {"operationId": f"{file['operationId']}_head"},
        },
    }


def _versions() -> Document:
    state = parameter("query", "state", TEXT | {"enum": list(STATES)})
    version = answer(ref("FamilyVersion"), "Done.", "ETag")
    added = fields("image", image=UUID, label=TEXT, build_date=TEXT, promote=FLAG)
    return {
        f"{ONE}/versions": {
            "get": operation(
                FamilyVersionViewSet.list,
                {200: answer(page_of("versions", ref("FamilyVersion")))},
                (409,),
                parameters=[FAMILY, state, *PAGING],
            ),
            "post": operation(
                FamilyVersionViewSet.create,
                {201: version},
                (409, 412),
                parameters=[FAMILY, *CHANGING],
                body=json_body(added),
            ),
        },
        f"{ONE}/versions/{{label}}": {
            "patch": operation(
                FamilyVersionViewSet.partial_update,
                {200: version},
                (409, 412),
                parameters=[FAMILY, LABEL, *CHANGING],
                body=json_body(fields(withdrawn=FLAG, note=TEXT)),
            ),
            "delete": operation(
                FamilyVersionViewSet.destroy,
                {204: empty()},
                (409, 412),
                parameters=[FAMILY, LABEL, *CHANGING],
            ),
        },
    }


def components() -> Document:
    """Return the OpenAPI schemas of families, by name."""
    template = fields(
        properties=OBJECT | {"additionalProperties": TEXT},
        tags=many(TEXT),
        **dict.fromkeys(("min_disk", "min_ram"), NUMBER),
        **dict.fromkeys(("template_wins", "scs"), FLAG),
    )
    settable = {
        "name": TEXT,
        "scope": TEXT | {"enum": list(FamilyScope.values)},
        "architecture": TEXT,
        **dict.fromkeys(TEXTS, TEXT),
        "naming": TEXT | {"enum": list(Naming.values)},
        "hide_old": FLAG,
        "visibility": TEXT,
        "verified_only": FLAG,
        "publish": FLAG,
        "retention": TEXT_OR_NULL,
        "template": template,
        "owner": TEXT,
    }
    times = dict.fromkeys(("created_at", "updated_at"), TEXT)
    family = fields(
        "id", "name", id=UUID, **settable, **times, current=TEXT_OR_NULL, version=NUMBER
    )
    version = fields(
        "label",
        "image",
        "state",
        **dict.fromkeys(("label", "build_date", "added_at", "note", "status"), TEXT),
        image=UUID,
        state=TEXT | {"enum": list(STATES)},
        promoted_at=TEXT_OR_NULL,
        withdrawn=FLAG,
        size=NUMBER_OR_NULL,
        digests=OBJECT | {"additionalProperties": TEXT},
    )
    event = fields(
        "id",
        id=NUMBER,
        **dict.fromkeys(("at", "verb", "actor", "project", "interface"), TEXT),
        **dict.fromkeys(("request_id", "reason"), TEXT),
        **{"from": TEXT_OR_NULL, "to": TEXT_OR_NULL},
        detail=OBJECT,
    )
    return {
        "Family": family,
        "NewFamily": fields(**settable),
        "FamilyVersion": version,
        "FamilyEvent": event,
    }
