"""Actions on an image: deactivate and reactivate."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, lifecycle
from images.api import body, replies
from images.api.views import ApiView, caller

VERBS = {"deactivate": lifecycle.deactivate, "reactivate": lifecycle.reactivate}


class Action(ApiView):
    def post(
        self, request: Request, image_id: str, action: str, **kwargs: str
    ) -> HttpResponse:
        body.refuse(request._request)
        who = caller(request)
        access.get_image(who, image_id, action)
        VERBS[action](image_id, who)
        return replies.nothing()
