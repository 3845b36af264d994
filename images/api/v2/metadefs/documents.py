"""Request bodies of the Metadata Definitions API, and the JSON objects in its responses."""

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
    """Return the JSON document in the body of a request to the Metadata Definitions API."""
    return request_body.json(request._request)


def created(request: Request, document: Document) -> HttpResponse:
    """Return a response 201 (Created) with a JSON document.

    If the document has the member ``self``, the path of the new resource, the header Location
    has the URL of that path.
    """
    response = responses.json(document, 201)
    if "self" in document:
        public_url.set_location(
            response, request._request, quote(document["self"], safe="/:")
        )
    return response


def namespace(row: MetadefNamespace) -> Document:
    """Return the JSON object of a namespace, without its definitions and resource types."""
    return {
        **trees.namespace(row),
        **_times(row),
        "self": f"{NAMESPACES}/{row.namespace}",
        "schema": "/v2/schemas/metadefs/namespace",
    }


def with_associations(row: MetadefNamespace) -> Document:
    """Return the JSON object of a namespace, with its resource types if it has any."""
    shown = [association(it) for it in row.associations.all()]
    return namespace(row) | trees.given({"resource_type_associations": shown})


def tree(row: MetadefNamespace, resource_type: str | None = None) -> Document:
    """Return the JSON object of a namespace with its objects, properties and tags.

    Empty lists are left out. With ``resource_type``, the names of properties get the prefix that
    the namespace has for this type. Raises NotFound if the namespace does not apply to the type.
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
    """Return the JSON object of a namespace's association with a resource type."""
    return {**trees.association(row), **_times(row)}


def resource_type(row: MetadefResourceType) -> Document:
    """Return the JSON object of a resource type."""
    return {"name": row.name, **_times(row)}


def metadef_object(row: MetadefObject, namespace: str, prefix: str = "") -> Document:
    """Return the JSON form of an object (a named group of properties) in a namespace.

    ``prefix`` is put before the names of its properties.
    """
    return {
        **trees.metadef_object(row, prefix),
        **_times(row),
        "self": f"{NAMESPACES}/{namespace}/objects/{row.name}",
        "schema": "/v2/schemas/metadefs/object",
    }


def metadef_property(row: MetadefProperty) -> Document:
    """Return the JSON object of a property: its schema and its name."""
    return {"name": row.name, **row.schema}


def tag(row: MetadefTag) -> Document:
    """Return the JSON object of a tag."""
    return {"name": row.name, **_times(row)}


def _times(row: Any) -> Document:
    return {
        "created_at": responses.second(row.created_at),
        "updated_at": responses.second(row.updated_at),
    }
