"""API views for the properties that a namespace defines."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, errors
from images.access import Caller
from images.api.v2.metadefs import documents
from images.http import responses
from images.http.views import NAME, ApiViewSet, get_caller
from images.metadefs import associations, content
from images.metadefs.content import PROPERTIES
from images.metadefs.documents import Values, clean_property


class PropertyViewSet(ApiViewSet):
    """``/v2/metadefs/namespaces/{namespace}/properties``: definitions of properties."""

    lookup_url_kwarg = "name"
    lookup_value_regex = NAME

    def list(self, request: Request, namespace: str) -> HttpResponse:
        """Return all properties of a namespace as one JSON object: name -> definition."""
        rows = content.get_all(get_caller(request), namespace, PROPERTIES)
        return responses.json({"properties": {it.name: it.schema for it in rows}})

    def create(self, request: Request, namespace: str) -> HttpResponse:
        """Add a property to a namespace, and return the property."""
        caller = get_caller(request)
        access.get_namespace(caller, namespace, PROPERTIES.add)
        row = content.add(caller, namespace, PROPERTIES, _values(request))
        return documents.created(request, documents.metadef_property(row))

    def clear(self, request: Request, namespace: str) -> HttpResponse:
        """Delete all properties of a namespace."""
        content.delete_all(get_caller(request), namespace, PROPERTIES)
        return responses.nothing()

    def retrieve(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Return a property of a namespace.

        With the query parameter ``resource_type``, the name in the path begins with the prefix
        that the namespace has for this type.
        """
        caller = get_caller(request)
        if kind := request.query_params.get("resource_type"):
            name = _without_prefix(caller, namespace, name, kind)
        row = content.get(caller, namespace, PROPERTIES, name)
        return responses.json(documents.metadef_property(row))

    def update(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Replace a property of a namespace, and return it.

        The body can give the property another name.
        """
        caller = get_caller(request)
        access.get_namespace(caller, namespace, PROPERTIES.modify)
        row = content.change(caller, namespace, PROPERTIES, name, _values(request))
        return responses.json(documents.metadef_property(row))

    def destroy(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Delete a property of a namespace."""
        content.delete(get_caller(request), namespace, PROPERTIES, name)
        return responses.nothing()


def _values(request: Request) -> Values:
    name, schema = clean_property(documents.body(request))
    return {"name": name, "schema": schema}


def _without_prefix(caller: Caller, namespace: str, name: str, kind: str) -> str:
    prefix = associations.prefix(associations.get_all(caller, namespace), kind)
    if not name.startswith(prefix):
        raise errors.NotFound(
            f"On resources of the type {kind[:100]}, the names of this namespace's "
            f"properties begin with {prefix}."
        )
    return name.removeprefix(prefix)
