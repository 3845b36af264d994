"""Documents of requests, and the JSON objects of namespaces and their content."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from django.http import HttpResponse
from rest_framework.request import Request

from images.http import public_url, request_body, responses
from images.metadefs import associations, trees
from images.metadefs.trees import Document
from images.models import (
    MetadefAssociation,
    MetadefNamespace,
    MetadefObject,
    MetadefProperty,
    MetadefResourceType,
    MetadefTag,
)

NAMESPACES = "/v2/metadefs/namespaces"


def body(request: Request) -> Any:
    """Return the JSON document of a request."""
    return request_body.json(request._request)


def created(request: Request, document: Document) -> HttpResponse:
    """Return the response 201 with a document, and its URL if it names its path in ``self``."""
    response = responses.json(document, 201)
    if "self" in document:
        base = public_url.base(request._request)
        response.headers["Location"] = base + quote(document["self"], safe="/:")
    return response


def namespace(row: MetadefNamespace) -> Document:
    """Return a namespace without its content."""
    return {
        **trees.namespace(row),
        **_times(row),
        "self": f"{NAMESPACES}/{row.namespace}",
        "schema": "/v2/schemas/metadefs/namespace",
    }


def with_associations(row: MetadefNamespace) -> Document:
    """Return a namespace with its resource types, if it has any."""
    shown = [association(it) for it in row.associations.all()]
    return namespace(row) | trees.given({"resource_type_associations": shown})


def tree(row: MetadefNamespace, resource_type: str | None = None) -> Document:
    """Return a namespace with its content, as far as there is any.

    With ``resource_type``, names of properties have the prefix for this type. Raises NotFound
    if the namespace does not apply to it.
    """
    prefix = ""
    if resource_type is not None:
        prefix = associations.prefix(row.associations.all(), resource_type)
    content = {
        "objects": [
            metadef_object(it, row.namespace, prefix)
            for it in row.metadef_objects.all()
        ],
        "properties": {prefix + it.name: it.schema for it in row.properties.all()},
        "tags": [{"name": it.name} for it in row.tags.all()],
    }
    return with_associations(row) | trees.given(content)


def association(row: MetadefAssociation) -> Document:
    """Return an association of a namespace with a resource type."""
    return {**trees.association(row), **_times(row)}


def resource_type(row: MetadefResourceType) -> Document:
    """Return a resource type."""
    return {"name": row.name, **_times(row)}


def metadef_object(row: MetadefObject, namespace: str, prefix: str = "") -> Document:
    """Return an object; ``prefix`` comes before the names of its properties."""
    return {
        **trees.metadef_object(row, prefix),
        **_times(row),
        "self": f"{NAMESPACES}/{namespace}/objects/{row.name}",
        "schema": "/v2/schemas/metadefs/object",
    }


def metadef_property(row: MetadefProperty) -> Document:
    """Return a property with its name."""
    return {"name": row.name, **row.schema}


def tag(row: MetadefTag) -> Document:
    """Return a tag."""
    return {"name": row.name, **_times(row)}


def _times(row: Any) -> Document:
    return {
        "created_at": responses.second(row.created_at),
        "updated_at": responses.second(row.updated_at),
    }
