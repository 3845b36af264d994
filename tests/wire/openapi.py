"""The API, as far as fuzzing needs it, as an OpenAPI document."""

from __future__ import annotations

from typing import Any

from images.api import query
from images.api.v1 import filters as filters_v1
from images.api.v1 import headers
from images.api.v2 import discovery, filters, patch, schemas
from images.api.v2.metadefs import schemas as metadefs

Document = dict[str, Any]
JSON = "application/json"
OCTETS = "application/octet-stream"
TEXT = {"type": "string"}
NUMBER = {"type": "integer"}
FLAG = {"type": "boolean"}
SCHEMA = {"enum": [*discovery.DOCUMENTS]}


def document(image_ids: list[str]) -> Document:
    """``image_ids``: images that exist, so that more than 404 is found behind their paths."""
    one = [_parameter("path", "image_id", {"enum": image_ids}, required=True)]
    tag = [*one, _parameter("path", "tag", TEXT | {"minLength": 1}, required=True)]
    data = [
        _parameter("header", "x-image-meta-store", TEXT),
        _parameter("header", "x-openstack-image-size", NUMBER),
    ]
    ranges = [_parameter("header", name, TEXT) for name in ("Range", "Content-Range")]
    reason = _parameter("header", "X-Reason", TEXT)
    history = [
        _parameter("query", name, kind)
        for name, kind in {
            "actor": TEXT,
            "door": TEXT,
            "since": TEXT,
            "until": TEXT,
            "limit": NUMBER,
            "marker": NUMBER,
        }.items()
    ]
    image = "/v2/images/{image_id}"
    paths = {
        "/v2/schemas/{name}": {
            "get": _operation([_parameter("path", "name", SCHEMA, required=True)])
        },
        "/v2/images": {
            "get": _operation(_listing()),
            "post": _operation(body={JSON: {"schema": _new_image()}}),
        },
        image: {
            "get": _operation(one),
            "patch": _operation(one, _patches()),
            "delete": _operation([_unknown_image()]),
        },
        f"{image}/file": {
            "get": _operation([*one, *ranges, _parameter("query", "prefer", TEXT)]),
            "put": _operation(one + data, {OCTETS: {"schema": TEXT}}),
        },
        f"{image}/tags/{{tag}}": {"put": _operation(tag), "delete": _operation(tag)},
        f"{image}/actions/deactivate": {"post": _operation(one)},
        f"{image}/actions/reactivate": {"post": _operation(one)},
        f"{image}/actions/restore": {"post": _operation([*one, reason])},
        f"{image}/history": {"get": _operation(one + history)},
        **_imports(one, data),
        **_members(one),
        **_metadefs(),
        **_version_1(one),
    }
    return {
        "openapi": "3.1.0",
        "info": {"title": "Image API", "version": "2"},
        "paths": paths,
        "definitions": metadefs.namespace()["definitions"],  # schemas refer to them
    }


def _imports(one: list[Document], data: list[Document]) -> Document:
    image, store = "/v2/images/{image_id}", data[0]
    method = {"enum": [{"name": "glance-direct"}, {"name": "web-download", "uri": ""}]}
    wanted = _object(method={"anyOf": [method, {"type": "object"}]}, all_stores=FLAG)
    new_task = _object(
        type={"enum": ["import"]},
        input={
            "type": "object",
            "properties": {
                "import_from": TEXT,
                "import_from_format": TEXT,
                "image_properties": _new_image(),
            },
            "required": ["import_from", "import_from_format", "image_properties"],
        },
    )
    names = ("status", "type", "owner", "marker", "sort_key", "sort_dir")
    page = [_parameter("query", name, TEXT) for name in names]
    task = [_parameter("path", "task_id", {"format": "uuid", **TEXT}, True)]
    return {
        f"{image}/stage": {"put": _operation(one + data, {OCTETS: {"schema": TEXT}})},
        f"{image}/import": {"post": _operation([*one, store], wanted)},
        f"{image}/tasks": {"get": _operation(one)},
        "/v2/tasks": {
            "get": _operation([*page, _parameter("query", "limit", NUMBER)]),
            "post": _operation(body=new_task),
        },
        "/v2/tasks/{task_id}": {"get": _operation(task)},
    }


def _members(one: list[Document]) -> Document:
    member = [*one, _parameter("path", "member_id", TEXT | {"minLength": 1}, True)]
    new, answer = (
        _object(member=TEXT),
        _object(status=schemas.member()["properties"]["status"]),
    )
    members = "/v2/images/{image_id}/members"
    return {
        members: {"get": _operation(one), "post": _operation(one, new)},
        f"{members}/{{member_id}}": {
            "get": _operation(member),
            "put": _operation(member, answer),
            "delete": _operation(member),
        },
    }


def _metadefs() -> Document:
    named = [_parameter("path", "namespace", {"enum": ["OS::Test"]}, required=True)]
    one = [*named, _parameter("path", "name", TEXT | {"minLength": 1}, True)]
    kind = _parameter("query", "resource_type", TEXT)
    page = [_parameter("query", name, TEXT) for name in ("marker", "sort_key")]
    page += [
        _parameter("query", "sort_dir", TEXT),
        _parameter("query", "limit", NUMBER),
    ]
    types = [
        _parameter("query", name, TEXT) for name in ("resource_types", "visibility")
    ]
    namespaces = "/v2/metadefs/namespaces"
    namespace, new_object, new_property, new_tag = (
        {JSON: {"schema": schema()}}
        for schema in (
            metadefs.namespace,
            metadefs.metadef_object,
            metadefs.metadef_property,
            metadefs.tag,
        )
    )
    change = {"get": _operation(one), "delete": _operation(one)}
    path = f"{namespaces}/{{namespace}}"
    return {
        namespaces: {
            "get": _operation([*page, *types]),
            "post": _operation(body=namespace),
        },
        path: {
            "get": _operation([*named, kind]),
            "put": _operation(named, namespace),
        },
        f"{path}/objects": {
            "get": _operation(named),
            "post": _operation(named, new_object),
        },
        f"{path}/objects/{{name}}": {**change, "put": _operation(one, new_object)},
        f"{path}/properties": {
            "get": _operation(named),
            "post": _operation(named, new_property),
        },
        f"{path}/properties/{{name}}": {
            "get": _operation([*one, kind]),
            "put": _operation(one, new_property),
            "delete": _operation(one),
        },
        f"{path}/tags": {
            "get": _operation([*named, *page]),
            "post": _operation(named, _object(tags={"type": "array"})),
        },
        f"{path}/tags/{{name}}": {
            **change,
            "post": _operation(one),
            "put": _operation(one, new_tag),
        },
        f"{path}/resource_types": {
            "get": _operation(named),
            "post": _operation(named, {JSON: {"schema": metadefs.resource_type()}}),
        },
        f"{path}/resource_types/{{name}}": {"delete": _operation(one)},
    }


def _version_1(one: list[Document]) -> Document:
    listing = [
        *(_parameter("query", name, TEXT) for name in (*filters_v1.TEXTS, "marker")),
        *(_parameter("query", name, NUMBER) for name in (*filters_v1.NUMBERS, "limit")),
        *(
            _parameter("query", name, TEXT)
            for name in ("is_public", "protected", "deleted", "changes-since")
        ),
        _parameter("query", "property-os", TEXT),
    ]
    names = [f"x-image-meta-{name}" for name in (*headers.FIELDS, "property-os")]
    meta = [_parameter("header", name, TEXT) for name in names]
    meta.append(_parameter("header", "x-glance-registry-purge-props", TEXT))
    member = [*one, _parameter("path", "member_id", TEXT | {"minLength": 1}, True)]
    data = {OCTETS: {"schema": TEXT}}
    image = "/v1/images/{image_id}"
    return {
        "/v1/images": {"get": _operation(listing), "post": _operation(meta, data)},
        "/v1/images/detail": {"get": _operation(listing)},
        image: {
            "get": _operation(one),
            "head": _operation(one),
            "put": _operation(one + meta, data),
            "delete": _operation([_unknown_image()]),
        },
        f"{image}/members": {
            "get": _operation(one),
            "put": _operation(one, _object(memberships={"type": "array"})),
        },
        f"{image}/members/{{member_id}}": {
            "put": _operation(member, _object(member={"type": "object"})),
            "delete": _operation(member),
        },
        "/v1/shared-images/{member_id}": {
            "get": _operation([member[1], _parameter("query", "limit", NUMBER)])
        },
    }


def _object(**properties: Document) -> Document:
    return {JSON: {"schema": {"type": "object", "properties": properties}}}


def operations() -> list[tuple[str, str]]:
    """All (path, method) of the document."""
    paths = document([])["paths"]
    return [(path, method) for path, methods in paths.items() for method in methods]


def _operation(
    parameters: list[Document] | None = None, body: Document | None = None
) -> Document:
    operation: Document = {
        "parameters": parameters or [],
        "responses": {"default": {"description": "any"}},
    }
    return operation | ({"requestBody": {"content": body}} if body else {})


def _parameter(
    where: str, name: str, schema: Document, required: bool = False
) -> Document:
    return {"in": where, "name": name, "schema": schema, "required": required}


def _unknown_image() -> Document:
    # The images that exist are needed until the end.
    pattern = "^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$"
    return _parameter("path", "image_id", TEXT | {"pattern": pattern}, required=True)


def _new_image() -> Document:
    schema = schemas.image()
    writable = {
        name: field
        for name, field in schema["properties"].items()
        if not field.get("readOnly") and name not in ("id", "locations")
    }
    return {"type": "object", "properties": writable, "additionalProperties": TEXT}


def _patches() -> Document:
    values = [TEXT, NUMBER, FLAG, {"type": "array", "items": TEXT}, {"type": "null"}]
    pointer = {"anyOf": [{"enum": _pointers()}, TEXT]}
    rfc = {
        "type": "object",
        "properties": {
            "op": {"enum": list(patch.OPS)},
            "path": pointer,
            "value": {"anyOf": values},
        },
        "required": ["op", "path"],
    }
    draft = {
        "type": "object",
        "properties": {
            **dict.fromkeys(patch.OPS, pointer),
            "value": {"anyOf": values},
        },
    }
    dialects = {patch.V2_1: rfc, patch.V2_0: draft}
    return {
        media: {"schema": {"type": "array", "items": operation}}
        for media, operation in dialects.items()
    }


def _pointers() -> list[str]:
    names = [*schemas.image()["properties"], "locations/-", "locations/0", "custom"]
    return [f"/{name}" for name in names]


def _listing() -> list[Document]:
    texts = (*filters.TEXTS, *filters.PLAIN, *filters.TIMES, "marker", "tag", "custom")
    numbers = ("limit", *filters.NUMBERS, "size_min", "size_max", "min_ram_max")
    choices = {
        "visibility": ["all", "public", "private", "shared", "community"],
        "member_status": list(filters.MEMBER_STATUSES),
        "sort_key": list(query.SORT_KEYS),
        "sort_dir": ["asc", "desc"],
        "sort": ["name:asc", "size", "created_at:desc,id:asc"],
    }
    return [
        *(_parameter("query", name, TEXT) for name in texts),
        *(_parameter("query", name, NUMBER) for name in numbers),
        *(_parameter("query", name, {"enum": choices[name]}) for name in choices),
        *(_parameter("query", name, FLAG) for name in ("protected", "os_hidden")),
    ]
