"""API view that adds or removes a tag of an image."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, lifecycle
from images.http import request_body, responses
from images.http.views import NAME, ApiViewSet, get_caller


class ImageTagViewSet(ApiViewSet):
    """``/v2/images/{id}/tags/{tag}``: the tags of an image."""

    lookup_url_kwarg = "tag"
    lookup_value_regex = NAME

    def update(self, request: Request, image_id: str, tag: str) -> HttpResponse:
        """Add a tag to an image, unless the image has it already."""
        caller = get_caller(request)
        access.get_image(caller, image_id, "modify_image")
        request_body.refuse(request._request)
        lifecycle.tag(image_id, tag, caller)
        return responses.nothing()

    def destroy(self, request: Request, image_id: str, tag: str) -> HttpResponse:
        """Remove a tag from an image; 404 unless the image has it."""
        caller = get_caller(request)
        access.get_image(caller, image_id, "modify_image")
        lifecycle.untag(image_id, tag, caller)
        return responses.nothing()
