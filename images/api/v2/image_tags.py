"""Tags of an image, one by one."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, lifecycle
from images.http import request_body, responses
from images.http.views import ApiView, get_caller


class Tag(ApiView):
    def put(
        self, request: Request, image_id: str, tag: str, **kwargs: str
    ) -> HttpResponse:
        request_body.refuse(request._request)
        caller = get_caller(request)
        access.get_image(caller, image_id, "modify_image")
        lifecycle.tag(image_id, tag, caller)
        return responses.nothing()

    def delete(
        self, request: Request, image_id: str, tag: str, **kwargs: str
    ) -> HttpResponse:
        request_body.refuse(request._request)
        caller = get_caller(request)
        access.get_image(caller, image_id, "modify_image")
        lifecycle.untag(image_id, tag, caller)
        return responses.nothing()
