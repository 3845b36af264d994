"""API views for resource types, and for the associations of a namespace with them."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access
from images.api.v2.metadefs import documents
from images.http import responses
from images.http.views import NAME, ApiViewSet, get_caller
from images.metadefs import associations
from images.metadefs.documents import clean_association


class ResourceTypeViewSet(ApiViewSet):
    """``/v2/metadefs/resource_types``: the resource types with which any namespace was ever associated."""

    def list(self, request: Request) -> HttpResponse:
        """Return all resource types, such as ``OS::Glance::Image``."""
        rows = associations.all_resource_types(get_caller(request))
        return responses.json(
            {"resource_types": [documents.resource_type(it) for it in rows]}
        )


class AssociationViewSet(ApiViewSet):
    """``/v2/metadefs/namespaces/{namespace}/resource_types``: the resource types of a namespace."""

    lookup_url_kwarg = "name"
    lookup_value_regex = NAME

    def list(self, request: Request, namespace: str) -> HttpResponse:
        """Return the resource types with which a namespace is associated."""
        rows = associations.get_all(get_caller(request), namespace)
        return responses.json(
            {"resource_type_associations": [documents.association(it) for it in rows]}
        )

    def create(self, request: Request, namespace: str) -> HttpResponse:
        """Associate a namespace with a resource type, and return the association."""
        caller = get_caller(request)
        rule = "add_metadef_resource_type_association"
        access.get_namespace(caller, namespace, rule)
        values = clean_association(documents.body(request))
        row = associations.add(caller, namespace, values)
        return documents.created(request, documents.association(row))

    def destroy(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """End the association of a namespace with a resource type."""
        associations.delete(get_caller(request), namespace, name)
        return responses.nothing()
