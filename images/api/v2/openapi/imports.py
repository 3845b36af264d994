"""The OpenAPI description of imports and tasks."""

from __future__ import annotations

from images.api.v2 import image_import, tasks
from images.api.v2.openapi.images import IMAGE, IMAGE_ID
from images.api.v2.openapi.transfers import STORE
from images.expected_digests import ALGORITHMS
from images.http.openapi import (
    FLAG,
    NUMBER,
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
from images.models import ImportMethod


def paths() -> Document:
    """Return the OpenAPI operations of imports and tasks: path -> method -> operation."""
    one = parameter("path", "task_id", UUID)
    page = queries(TEXT, "status", "type", "owner", "marker", "sort_key", "sort_dir")
    views = tasks.TaskViewSet
    of_image = answer(fields(tasks=many(ref("Task"))))
    return {
        f"{IMAGE}/import": {
            "post": operation(
                image_import.ImageImportViewSet.create,
                {202: empty("The background worker brings the data in.")},
                (409, 410, 415),
                parameters=[IMAGE_ID, STORE],
                body=json_body(ref("Import")),
            )
        },
        f"{IMAGE}/tasks": {
            "get": operation(
                tasks.ImageTaskViewSet.list, {200: of_image}, parameters=[IMAGE_ID]
            )
        },
        "/v2/tasks": {
            "get": operation(
                views.list,
                {200: answer(ref("Tasks"))},
                parameters=[*page, *queries(NUMBER, "limit")],
            ),
            "post": operation(
                views.create,
                {201: answer(ref("Task"), "The import is requested.", "Location")},
                (409,),
                body=json_body(ref("NewTask")),
            ),
        },
        "/v2/tasks/{task_id}": {
            "get": operation(
                views.retrieve, {200: answer(ref("Task"))}, parameters=[one]
            )
        },
    }


def components() -> Document:
    """Return the OpenAPI schemas of the bodies of imports and tasks, by name."""
    method = fields(
        "name",
        name={"enum": ImportMethod.values},
        uri=TEXT,
        **dict.fromkeys(image_import.REMOTE, TEXT),
    )
    digests = dict.fromkeys(ALGORITHMS, TEXT)
    expected = fields(size=NUMBER, **digests) | {"additionalProperties": False}
    wanted = fields(
        "method",
        method=method,
        stores=many(TEXT),
        **dict.fromkeys(image_import.FLAGS, FLAG),
        **dict.fromkeys((image_import.EXPECTED, image_import.EXPECTED_AFTER), expected),
        **dict.fromkeys((image_import.CHECKSUM_URL, image_import.CHECKSUM_NAME), TEXT),
    )
    source = fields(
        *tasks.NEEDED,
        import_from=TEXT,
        import_from_format=TEXT,
        image_properties=ref("NewImage"),
    )
    new_task = fields("type", "input", type={"const": tasks.IMPORT}, input=source)
    return {"Import": wanted, "NewTask": new_task}
