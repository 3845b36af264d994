"""API views for the objects of a namespace, which are named groups of properties."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access
from images.api.v2.metadefs import documents
from images.http import responses
from images.http.views import NAME, ApiViewSet, get_caller
from images.metadefs import content
from images.metadefs.content import OBJECTS
from images.metadefs.documents import clean_object


class ObjectViewSet(ApiViewSet):
    """``/v2/metadefs/namespaces/{namespace}/objects``: the objects of a namespace.

    An object is a named group of properties.
    """

    lookup_url_kwarg = "name"
    lookup_value_regex = NAME

    def list(self, request: Request, namespace: str) -> HttpResponse:
        """Return all objects of a namespace."""
        rows = content.get_all(get_caller(request), namespace, OBJECTS)
        shown = [documents.metadef_object(it, namespace) for it in rows]
        # The path begins without a slash: clients are used to that.
        return responses.json(
            {"objects": shown, "schema": "v2/schemas/metadefs/objects"}
        )

    def create(self, request: Request, namespace: str) -> HttpResponse:
        """Add an object, a group of properties, to a namespace; return the object."""
        caller = get_caller(request)
        access.get_namespace(caller, namespace, OBJECTS.add)
        values = clean_object(documents.body(request))
        row = content.add(caller, namespace, OBJECTS, values)
        return documents.created(request, documents.metadef_object(row, namespace))

    def clear(self, request: Request, namespace: str) -> HttpResponse:
        """Delete all objects of a namespace."""
        content.delete_all(get_caller(request), namespace, OBJECTS)
        return responses.nothing()

    def retrieve(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Return an object of a namespace."""
        row = content.get(get_caller(request), namespace, OBJECTS, name)
        return responses.json(documents.metadef_object(row, namespace))

    def update(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Replace an object of a namespace, and return it.

        The body can give the object another name.
        """
        caller = get_caller(request)
        access.get_namespace(caller, namespace, OBJECTS.modify)
        values = clean_object(documents.body(request))
        row = content.change(caller, namespace, OBJECTS, name, values)
        return responses.json(documents.metadef_object(row, namespace))

    def destroy(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Delete an object of a namespace."""
        content.delete(get_caller(request), namespace, OBJECTS, name)
        return responses.nothing()
