"""The OpenAPI description of metadata definitions."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from images.api.v2.metadefs import schemas
from images.api.v2.metadefs.namespaces import NamespaceViewSet
from images.api.v2.metadefs.objects import ObjectViewSet
from images.api.v2.metadefs.properties import PropertyViewSet
from images.api.v2.metadefs.resource_types import (
    AssociationViewSet,
    ResourceTypeViewSet,
)
from images.api.v2.metadefs.tags import TagViewSet
from images.http import openapi
from images.http.openapi import (
    NOT_EMPTY,
    NUMBER,
    TEXT,
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

NAMESPACES = "/v2/metadefs/namespaces"
NAMESPACE = f"{NAMESPACES}/{{namespace}}"
NAMED = [parameter("path", "namespace", NOT_EMPTY)]
ONE = [*NAMED, parameter("path", "name", NOT_EMPTY)]
PAGE = [
    *queries(TEXT, "marker", "sort_key", "sort_dir"),
    *queries(NUMBER, "limit"),
]
APPEND = parameter("header", "X-Openstack-Append")
TYPE = queries(TEXT, "resource_type")


def paths() -> Document:
    """Return the OpenAPI operations of metadata definitions: path -> method -> operation."""
    types = fields(resource_types=many(fields(name=TEXT)))
    tags = fields("tags", tags=many(fields("name", name=TEXT)))
    association = AssociationViewSet
    return {
        **_namespaces(),
        **_content(ObjectViewSet, "objects", "MetadefObject"),
        **_content(PropertyViewSet, "properties", "MetadefProperty", TYPE),
        f"{NAMESPACE}/tags": {
            **_list(TagViewSet, "MetadefTags", PAGE),
            "post": _change(
                TagViewSet.create, 201, answer(tags), [*NAMED, APPEND], tags
            ),
        },
        f"{NAMESPACE}/tags/{{name}}": {
            **_entry(TagViewSet, "MetadefTag"),
            "post": _change(TagViewSet.add, 201, _made("MetadefTag"), ONE),
        },
        "/v2/metadefs/resource_types": {
            "get": operation(ResourceTypeViewSet.list, {200: answer(types)})
        },
        f"{NAMESPACE}/resource_types": {
            "get": operation(
                association.list,
                {200: answer(ref("MetadefAssociations"))},
                parameters=NAMED,
            ),
            "post": _change(
                association.create,
                201,
                _made("MetadefAssociation"),
                NAMED,
                ref("MetadefAssociation"),
            ),
        },
        f"{NAMESPACE}/resource_types/{{name}}": {
            "delete": _change(association.destroy, 204, empty(), ONE)
        },
    }


def _namespaces() -> Document:
    views, one = NamespaceViewSet, ref("MetadefNamespace")
    filters = queries(TEXT, "resource_types", "visibility")
    return {
        NAMESPACES: {
            "get": operation(
                views.list,
                {200: answer(ref("MetadefNamespaces"))},
                parameters=[*PAGE, *filters],
            ),
            "post": _change(views.create, 201, _made("MetadefNamespace"), [], one),
        },
        NAMESPACE: {
            "get": operation(
                views.retrieve, {200: answer(one)}, parameters=[*NAMED, *TYPE]
            ),
            "put": _change(views.update, 200, answer(one), NAMED, one),
            "delete": _change(views.destroy, 204, empty(), NAMED),
        },
    }


def _content(
    views: Any, name: str, entry: str, filters: Collection[Document] = ()
) -> Document:
    """Return the OpenAPI operations for the objects, or for the properties, of a namespace.

    They are the operations of the list and of one entry. ``views`` is the ViewSet, ``name`` the
    last part of the list's path, ``entry`` the name of the schema of an entry, and ``filters`` are
    query parameters of an entry's GET.
    """
    plural = {"MetadefObject": "MetadefObjects", "MetadefProperty": "MetadefProperties"}
    create = _change(views.create, 201, _made(entry), NAMED, ref(entry))
    return {
        f"{NAMESPACE}/{name}": {**_list(views, plural[entry]), "post": create},
        f"{NAMESPACE}/{name}/{{name}}": _entry(views, entry, filters),
    }


def _list(views: Any, page: str, filters: Collection[Document] = ()) -> Document:
    found = {200: answer(ref(page))}
    return {
        "get": operation(views.list, found, parameters=[*NAMED, *filters]),
        "delete": _change(views.clear, 204, empty(), NAMED),
    }


def _entry(views: Any, entry: str, filters: Collection[Document] = ()) -> Document:
    found = {200: answer(ref(entry))}
    return {
        "get": operation(views.retrieve, found, parameters=[*ONE, *filters]),
        "put": _change(views.update, 200, answer(ref(entry)), ONE, ref(entry)),
        "delete": _change(views.destroy, 204, empty(), ONE),
    }


def _change(
    view: Any,
    status: int,
    done: Document,
    parameters: list[Document],
    body: Document | None = None,
) -> Document:
    content = json_body(body) if body else None
    return operation(view, {status: done}, (409,), parameters=parameters, body=content)


def _made(name: str) -> Document:
    return answer(ref(name), "The definition is created.", "Location")


def components() -> Document:
    """Return the OpenAPI schemas of the bodies of the Metadata Definitions API, by name."""
    return openapi.schemas(
        {
            "MetadefNamespace": schemas.namespace(),
            "MetadefNamespaces": schemas.namespaces(),
            "MetadefObject": schemas.metadef_object(),
            "MetadefObjects": schemas.objects(),
            "MetadefProperty": schemas.metadef_property(),
            "MetadefProperties": schemas.properties(),
            "MetadefTag": schemas.tag(),
            "MetadefTags": schemas.tags(),
            "MetadefAssociation": schemas.resource_type(),
            "MetadefAssociations": schemas.resource_types(),
        }
    )
