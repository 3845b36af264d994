"""The API view of the JSON schemas, which describe the objects in responses."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images.api.v2 import schemas
from images.api.v2.metadefs import schemas as metadefs
from images.http import responses
from images.http.views import ApiViewSet

DOCUMENTS = {
    "image": schemas.image,
    "images": schemas.images,
    "member": schemas.member,
    "members": schemas.members,
    "task": schemas.task,
    "tasks": schemas.tasks,
    "metadefs/namespace": metadefs.namespace,
    "metadefs/namespaces": metadefs.namespaces,
    "metadefs/object": metadefs.metadef_object,
    "metadefs/objects": metadefs.objects,
    "metadefs/property": metadefs.metadef_property,
    "metadefs/properties": metadefs.properties,
    "metadefs/resource_type": metadefs.resource_type,
    "metadefs/resource_types": metadefs.resource_types,
    "metadefs/tag": metadefs.tag,
    "metadefs/tags": metadefs.tags,
}


class SchemaViewSet(ApiViewSet):
    """``/v2/schemas/{name}``: the JSON schemas of images, members, tasks and metadata definitions."""

    lookup_url_kwarg = "name"
    lookup_value_regex = "|".join(DOCUMENTS)

    def retrieve(self, request: Request, name: str) -> HttpResponse:
        """Return the JSON schema that the path names, such as ``image`` or ``metadefs/namespaces``."""
        return responses.json(DOCUMENTS[name]())
