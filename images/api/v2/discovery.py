"""What the service can do: the schema documents."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images.api.v2 import schemas
from images.http import responses
from images.http.views import ApiView

DOCUMENTS = {
    "image": schemas.image,
    "images": schemas.images,
    "member": schemas.member,
    "members": schemas.members,
}


class Schema(ApiView):
    http_method_names = ["get"]

    def get(self, request: Request, name: str, **kwargs: str) -> HttpResponse:
        return responses.json(DOCUMENTS[name]())
