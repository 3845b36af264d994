"""The OpenAPI document of the service, with the objects that a service under test has."""

from __future__ import annotations

from copy import deepcopy
from typing import Any

from imagecatalog import openapi
from images.api.v2 import schemas
from images.http.openapi import TEXT, parameter

Document = dict[str, Any]

UUID = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
# The images that exist are needed until the end.
UNKNOWN_IMAGE = TEXT | {"pattern": UUID}
DELETED = ("/v2/images/{image_id}", "/v1/images/{image_id}")
# It takes no passwords from others, and counts wrong ones.
IDENTITY = "/identity"
NOTHING: list[Any] = []  # paths without sign-in have no parameters either
PROPERTIES = {
    ("/v2/images", "get"): parameter("query", "custom"),
    ("/v1/images", "get"): parameter("query", "property-os"),
    ("/v1/images", "post"): parameter("header", "x-image-meta-property-os"),
    ("/v1/images/{image_id}", "put"): parameter("header", "x-image-meta-property-os"),
}


def operations() -> list[tuple[str, str]]:
    """All (path, method) that are worth fuzzing."""
    return [
        (path, method)
        for path, methods in openapi.document()["paths"].items()
        for method, operation in methods.items()
        if not path.startswith(IDENTITY) and operation.get("security") != NOTHING
    ]


def document(image_ids: list[str]) -> Document:
    """``image_ids``: images that exist, so that more than 404 is found behind their paths."""
    document = deepcopy(openapi.document())
    known = {
        "image_id": {"enum": image_ids},
        "namespace": {"enum": ["OS::Test"]},
        "project": {"enum": ["a-project-without-users"]},
    }
    for path, method in operations():
        operation = document["paths"][path][method]
        of_path = dict(known)
        if path in DELETED and method == "delete":
            of_path["image_id"] = UNKNOWN_IMAGE
        # Operations share parameters: those of one operation are changed in a copy.
        operation["parameters"] = [
            one | {"schema": of_path[one["name"]]}
            if one["in"] == "path" and one["name"] in of_path
            else one
            for one in operation.get("parameters", ())
        ]
        operation["parameters"] += filter(None, [PROPERTIES.get((path, method))])
    document["components"]["schemas"]["JsonPointer"] = {
        "anyOf": [{"enum": _pointers()}, TEXT]
    }
    return document


def _pointers() -> list[str]:
    names = [*schemas.image()["properties"], "locations/-", "locations/0", "custom"]
    return [f"/{name}" for name in names]
