"""Actions on an image: deactivate and reactivate, and restore, which is an extension."""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, attributes, errors, lifecycle
from images.http import request_body, responses
from images.http.views import ApiView, get_caller

VERBS = {"deactivate": lifecycle.deactivate, "reactivate": lifecycle.reactivate}


class Action(ApiView):
    def post(
        self, request: Request, image_id: str, action: str, **kwargs: str
    ) -> HttpResponse:
        request_body.refuse(request._request)
        caller = get_caller(request)
        access.get_image(caller, image_id, action)
        VERBS[action](image_id, caller)
        return responses.nothing()


class Restore(ApiView):
    def post(self, request: Request, image_id: str, **kwargs: str) -> HttpResponse:
        request_body.refuse(request._request)
        caller = get_caller(request)
        access.get_remembered_image(caller, image_id, "restore_image")
        lifecycle.restore(image_id, caller, _reason(request))
        return responses.nothing()


def _reason(request: Request) -> str:
    """Why, in the words of the one who asks; goes into the image's history."""
    try:
        text = request_body.header_text(request.headers.get("X-Reason", ""))
    except UnicodeError:
        raise errors.Invalid("X-Reason must be text in UTF-8.") from None
    return attributes.clean_text(text, "X-Reason").strip()
