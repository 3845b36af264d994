"""API views for namespaces of metadata definitions."""

from __future__ import annotations

from django.http import HttpResponse, QueryDict
from rest_framework.request import Request

from images import access
from images.api import query
from images.api.v2.metadefs import documents
from images.errors import Invalid
from images.http import responses
from images.http.views import ApiViewSet, get_caller
from images.metadefs import namespaces
from images.metadefs.documents import clean_namespace
from images.metadefs.namespaces import NamespaceListing
from images.models import NamespaceVisibility

NAMESPACE = "[^/]+"


class NamespaceViewSet(ApiViewSet):
    """``/v2/metadefs/namespaces``: the namespaces that a caller sees."""

    lookup_url_kwarg = "namespace"
    lookup_value_regex = NAMESPACE

    def list(self, request: Request) -> HttpResponse:
        """Return a page of namespaces with their resource types, without their definitions."""
        caller, params = get_caller(request), request.query_params
        access.check_metadef_list(
            caller, "get_metadef_namespaces", "list_metadef_resource_types"
        )
        page = namespaces.page(caller, _listing(params))
        shown = [documents.with_associations(it) for it in page.namespaces]
        return responses.json(
            {
                "namespaces": shown,
                "schema": "/v2/schemas/metadefs/namespaces",
                **query.links(documents.NAMESPACES, params, page.marker),
            }
        )

    def create(self, request: Request) -> HttpResponse:
        """Create a namespace with the definitions and resource types in the body, and return it."""
        caller = get_caller(request)
        access.check_metadef_list(caller, "add_metadef_namespace")
        tree = clean_namespace(documents.body(request))
        namespace = namespaces.create(caller, tree)
        return documents.created(request, documents.tree(namespace))

    def retrieve(self, request: Request, namespace: str) -> HttpResponse:
        """Return a namespace with its definitions and resource types."""
        found = namespaces.show(
            get_caller(request),
            namespace,
            "get_metadef_namespace",
            "list_metadef_resource_types",
            "get_metadef_objects",
            "get_metadef_properties",
            "get_metadef_tags",
        )
        kind = request.query_params.get("resource_type")
        return responses.json(documents.tree(found, kind))

    def update(self, request: Request, namespace: str) -> HttpResponse:
        """Replace all attributes of a namespace, and return it; its definitions stay."""
        caller = get_caller(request)
        access.get_namespace(caller, namespace, "modify_metadef_namespace")
        tree = clean_namespace(documents.body(request))
        changed = namespaces.replace(caller, namespace, tree)
        return responses.json(documents.namespace(changed))

    def destroy(self, request: Request, namespace: str) -> HttpResponse:
        """Delete a namespace with its definitions."""
        namespaces.delete(get_caller(request), namespace)
        return responses.nothing()


def _listing(params: QueryDict) -> NamespaceListing:
    query.check_text(params)
    visibility = params.get("visibility")
    if visibility and visibility not in NamespaceVisibility.values:
        raise Invalid("The value of visibility must be public or private.")
    types = params.get("resource_types", "").split(",")
    return NamespaceListing(
        visibility=visibility,
        resource_types=[name for name in types if name],
        sort=query.sort(params, namespaces.SORT_KEYS),
        marker=params.get("marker"),
        limit=query.limit(params),
    )
