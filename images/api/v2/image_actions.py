"""Actions on an image: deactivate, reactivate and restore.

Restore is an extension of the Image API.
"""

from __future__ import annotations

from django.http import HttpResponse
from rest_framework.decorators import action
from rest_framework.request import Request

from images import access, lifecycle
from images.http import request_body, responses
from images.http.views import ApiViewSet, get_caller, get_reason


class ImageActionViewSet(ApiViewSet):
    """``/v2/images/{id}/actions``: deactivate, reactivate or restore an image, each by a POST."""

    @action(detail=False, methods=["post"])
    def deactivate(self, request: Request, image_id: str) -> HttpResponse:
        """Withhold the image's data from all callers but administrators."""
        caller = get_caller(request)
        access.get_image(caller, image_id, "deactivate")
        request_body.refuse(request._request)
        lifecycle.deactivate(image_id, caller, get_reason(request))
        return responses.nothing()

    @action(detail=False, methods=["post"])
    def reactivate(self, request: Request, image_id: str) -> HttpResponse:
        """Make the image's data available for download again."""
        caller = get_caller(request)
        access.get_image(caller, image_id, "reactivate")
        request_body.refuse(request._request)
        lifecycle.reactivate(image_id, caller, get_reason(request))
        return responses.nothing()

    @action(detail=False, methods=["post"])
    def restore(self, request: Request, image_id: str) -> HttpResponse:
        """Restore the image from the trash (an extension of the Image API)."""
        caller = get_caller(request)
        access.get_remembered_image(caller, image_id, "restore_image")
        request_body.refuse(request._request)
        lifecycle.restore(image_id, caller, get_reason(request))
        return responses.nothing()
