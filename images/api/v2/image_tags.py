"""Tags of an image, one by one."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, lifecycle
from images.api import body, replies
from images.api.views import ApiView, caller


class Tag(ApiView):
    def put(
        self, request: Request, image_id: str, tag: str, **kwargs: str
    ) -> HttpResponse:
        body.refuse(request._request)
        who = caller(request)
        access.get_image(who, image_id, "modify_image")
        lifecycle.tag(image_id, tag, who)
        return replies.nothing()

    def delete(
        self, request: Request, image_id: str, tag: str, **kwargs: str
    ) -> HttpResponse:
        body.refuse(request._request)
        who = caller(request)
        access.get_image(who, image_id, "modify_image")
        lifecycle.untag(image_id, tag, who)
        return replies.nothing()
