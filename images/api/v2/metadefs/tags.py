"""API views for the tags that a namespace proposes for resources."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access
from images.api import query
from images.api.v2.metadefs import documents
from images.http import request_body, responses
from images.http.views import NAME, ApiViewSet, get_caller
from images.metadefs import content
from images.metadefs.content import TAG_SORT_KEYS, TAGS
from images.metadefs.documents import clean_tag, clean_tags

TRUE = {"1", "t", "true", "on", "y", "yes"}


class TagViewSet(ApiViewSet):
    """``/v2/metadefs/namespaces/{namespace}/tags``: tags that the namespace proposes."""

    lookup_url_kwarg = "name"
    lookup_value_regex = NAME

    def list(self, request: Request, namespace: str) -> HttpResponse:
        """Return a page of a namespace's tags, or all of them if the query has no limit."""
        caller, params = get_caller(request), request.query_params
        query.check_text(params)
        rows = content.tag_page(
            caller,
            namespace,
            query.sort(params, TAG_SORT_KEYS),
            params.get("marker"),
            query.limit(params) if "limit" in params else None,
        )
        return responses.json({"tags": [{"name": it.name} for it in rows]})

    def create(self, request: Request, namespace: str) -> HttpResponse:
        """Replace all tags of a namespace by the tags in the body.

        With the header ``X-Openstack-Append: true``, the tags are added, and the namespace keeps
        its other tags.
        """
        caller = get_caller(request)
        access.get_namespace(caller, namespace, "add_metadef_tags")
        names = clean_tags(documents.body(request))
        append = request.headers.get("X-Openstack-Append", "").strip().lower()
        content.add_tags(caller, namespace, names, append=append in TRUE)
        return responses.json({"tags": [{"name": name} for name in names]}, 201)

    def clear(self, request: Request, namespace: str) -> HttpResponse:
        """Delete all tags of a namespace."""
        content.delete_all(get_caller(request), namespace, TAGS)
        return responses.nothing()

    def add(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Add the tag that the path names to a namespace, and return the tag."""
        caller = get_caller(request)
        access.get_namespace(caller, namespace, TAGS.add)
        request_body.refuse(request._request)
        values = {"name": clean_tag({"name": name})}
        row = content.add(caller, namespace, TAGS, values)
        return documents.created(request, documents.tag(row))

    def retrieve(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Return a tag of a namespace."""
        row = content.get(get_caller(request), namespace, TAGS, name)
        return responses.json(documents.tag(row))

    def update(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Rename a tag of a namespace, and return it with the new name."""
        caller = get_caller(request)
        access.get_namespace(caller, namespace, TAGS.modify)
        values = {"name": clean_tag(documents.body(request))}
        row = content.change(caller, namespace, TAGS, name, values)
        return responses.json(documents.tag(row))

    def destroy(self, request: Request, namespace: str, name: str) -> HttpResponse:
        """Delete a tag of a namespace."""
        content.delete(get_caller(request), namespace, TAGS, name)
        return responses.nothing()
