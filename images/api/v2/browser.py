"""Resumable uploads from the pages of the admin: the same resource, signed in by the session.

Mounted where the session's cookie is sent; the API proper never sees it.
"""

from __future__ import annotations

from django.urls import re_path
from rest_framework.authentication import SessionAuthentication
from rest_framework.exceptions import PermissionDenied
from rest_framework.request import Request

from images.access import Caller, staff
from images.api.v2 import uploads
from images.api.v2.urls import UPLOAD_ID
from images.http.views import IMAGE_ID

NEEDED = ("images.view_image", "images.upload_image")


class BrowserSession(SessionAuthentication):
    """Staff that may upload; whatever changes something needs the CSRF token, too."""

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        found = super().authenticate(request)
        if found is None:
            # Not 401: the browser would ask for a password by itself.
            raise PermissionDenied("Sign in again, in another window if you like.")
        user, _ = found
        if not user.is_staff or not user.has_perms(NEEDED):
            raise PermissionDenied("Your role does not include uploads.")
        request_id = request._request.request_id  # type: ignore[attr-defined]
        return staff(user.get_username(), request_id), None


BY_SESSION = {"authentication_classes": [BrowserSession]}
urlpatterns = [
    re_path(rf"^{IMAGE_ID}/uploads$", uploads.Uploads.as_view(**BY_SESSION)),
    re_path(rf"^{IMAGE_ID}/uploads/{UPLOAD_ID}$", uploads.Upload.as_view(**BY_SESSION)),
]
