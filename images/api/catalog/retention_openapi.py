"""The OpenAPI description of retention policies."""

from __future__ import annotations

from images.api.catalog.retention import RETENTION, RetentionPolicyViewSet
from images.api.catalog.retention_runs import RetentionRunViewSet
from images.http.openapi import (
    FLAG,
    NOT_EMPTY,
    NUMBER,
    OBJECT,
    PAGE_LINKS,
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
    ref,
)
from images.models import Result, SharedImages
from images.retention.decisions import DECISIONS
from images.retention.rules import ACTIONS

NAME = parameter("path", "name", NOT_EMPTY, "The name of a policy.")
RUN = parameter("path", "run", NOT_EMPTY, "The id of a run.")
ONE = f"{RETENTION}/{{name}}"


def paths() -> Document:
    """Return the OpenAPI operations of retention policies: path -> method -> operation."""
    found = {200: answer(ref("RetentionPolicy"), "Done.", "ETag")}
    changing = [NAME, *headers(TEXT, "If-Match")]
    made = answer(ref("RetentionPolicy"), "The policy is created.", "Location", "ETag")
    return {
        RETENTION: {
            "get": operation(
                RetentionPolicyViewSet.list,
                {200: answer(page_of("policies", ref("RetentionPolicy")))},
                parameters=PAGING,
            ),
            "post": operation(
                RetentionPolicyViewSet.create,
                {201: made},
                (409,),
                body=json_body(ref("NewRetentionPolicy")),
            ),
        },
        ONE: {
            "get": operation(RetentionPolicyViewSet.retrieve, found, parameters=[NAME]),
            "patch": operation(
                RetentionPolicyViewSet.partial_update,
                found,
                (412,),
                parameters=changing,
                body=json_body(ref("NewRetentionPolicy")),
            ),
            "delete": operation(
                RetentionPolicyViewSet.destroy,
                {204: empty()},
                (409, 412),
                parameters=changing,
            ),
        },
        **_runs(),
    }


def _runs() -> Document:
    decision = parameter("query", "decision", TEXT | {"enum": list(DECISIONS)})
    started = {202: answer(ref("Job"), "A background worker will do it.", "Location")}
    wanted = json_body(fields(preview=TEXT, force=FLAG), required=False)
    return {
        f"{ONE}/preview": {
            "post": operation(
                RetentionPolicyViewSet.preview,
                {200: answer(ref("RetentionPreview"))},
                parameters=[NAME, decision, *PAGING],
            )
        },
        f"{ONE}/run": {
            "post": operation(
                RetentionPolicyViewSet.run,
                started,
                (409, 412),
                parameters=[NAME, REASON],
                body=wanted,
            )
        },
        f"{ONE}/runs": {
            "get": operation(
                RetentionRunViewSet.list,
                {200: answer(page_of("runs", ref("RetentionRun")))},
                parameters=[NAME, *PAGING],
            )
        },
        f"{ONE}/runs/{{run}}": {
            "get": operation(
                RetentionRunViewSet.retrieve,
                {200: answer(ref("RetentionRun"))},
                parameters=[NAME, RUN, *PAGING],
            )
        },
        f"{ONE}/runs/{{run}}/undo": {
            "post": operation(
                RetentionRunViewSet.undo,
                started,
                (409,),
                parameters=[NAME, RUN, REASON],
            )
        },
    }


def components() -> Document:
    """Return the OpenAPI schemas of retention policies, by name."""
    texts = many(TEXT)
    scope = fields(families=texts, projects=texts, everything=FLAG)
    select = fields(
        **dict.fromkeys(("name", "disk_format", "visibility"), TEXT),
        tags=texts,
        properties=OBJECT | {"additionalProperties": TEXT},
    )
    keep = fields(
        last=NUMBER,
        **dict.fromkeys(("newer_than", "used_within", "until_property"), TEXT),
        **dict.fromkeys(("labels", "tags"), texts),
    )
    settable = {
        "name": TEXT,
        "scope": scope,
        "select": select,
        "group_by": TEXT,
        "keep": keep,
        "shared": TEXT | {"enum": list(SharedImages.values)},
        "actions": many(fields(**dict.fromkeys(ACTIONS, TEXT))),
        "schedule": TEXT_OR_NULL,
        "enabled": FLAG,
        **dict.fromkeys(("max_per_run", "max_share"), NUMBER),
    }
    times = dict.fromkeys(("created_at", "updated_at"), TEXT)
    return {
        "RetentionPolicy": fields(
            "name", **settable, **times, next_run_at=TEXT_OR_NULL, version=NUMBER
        ),
        "NewRetentionPolicy": fields(**settable),
        "RetentionPreview": _preview(),
        "RetentionRun": _run(),
    }


def _preview() -> Document:
    decision = fields(
        "image",
        "decision",
        "because",
        **_IMAGE,
        decision=TEXT | {"enum": list(DECISIONS)},
        **dict.fromkeys(("built_at", "sentence"), TEXT),
    )
    return fields(
        "preview",
        preview=TEXT,
        **dict.fromkeys(("images", "act", "bytes"), NUMBER),
        counts=fields(**dict.fromkeys(DECISIONS, NUMBER)),
        decisions=many(decision),
        **PAGE_LINKS,
    )


def _run() -> Document:
    decision = fields(
        "image",
        "decision",
        "because",
        "result",
        **_IMAGE,
        decision=TEXT | {"enum": list(ACTIONS)},
        result=TEXT | {"enum": list(Result.values)},
        **dict.fromkeys(("error", "changed_at"), TEXT_OR_NULL),
    )
    return fields(
        "id",
        "status",
        id=NUMBER,
        snapshot=OBJECT,
        counts=OBJECT | {"additionalProperties": NUMBER},
        **dict.fromkeys(("policy", "status", "actor", "interface"), TEXT),
        **dict.fromkeys(("request_id", "reason", "started_at"), TEXT),
        **dict.fromkeys(("finished_at", "undone_at", "refusal"), TEXT_OR_NULL),
        **dict.fromkeys(("job", "undo_job"), TEXT_OR_NULL),
        decisions=many(decision),
        **PAGE_LINKS,
    )


_IMAGE: Document = {
    "image": UUID,
    **dict.fromkeys(("name", "group", "because"), TEXT),
    **dict.fromkeys(("version", "blocked_by"), TEXT_OR_NULL),
    "bytes": NUMBER,
}
