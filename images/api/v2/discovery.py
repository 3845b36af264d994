"""The JSON schemas of the resources."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images.api.v2 import schemas
from images.http import responses
from images.http.views import ApiViewSet

DOCUMENTS = {
    "image": schemas.image,
    "images": schemas.images,
    "member": schemas.member,
    "members": schemas.members,
}


class SchemaViewSet(ApiViewSet):
    """``/v2/schemas/{name}``: the JSON schemas of images and members."""

    lookup_url_kwarg = "name"
    lookup_value_regex = "|".join(DOCUMENTS)

    def retrieve(self, request: Request, name: str) -> HttpResponse:
        """Return the JSON schema of this name."""
        return responses.json(DOCUMENTS[name]())
