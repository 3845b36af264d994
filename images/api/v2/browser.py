"""Resumable uploads from the browser admin, authenticated by the session of the admin's user.

The URLs of these views are below the admin's URL, so that browsers never send the session cookie to
the API itself.
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
    """Authentication of staff users with permission to upload, by the session of the admin.

    Requests with unsafe methods need the CSRF token, too.
    """

    def authenticate(self, request: Request) -> tuple[Caller, None]:
        """Return the session's staff user as caller. Raises PermissionDenied if there is none."""
        authenticated = super().authenticate(request)
        if authenticated is None:
            # Not 401, for which a browser would show its own password prompt.
            raise PermissionDenied(
                "Your session has expired. Sign in in another tab, then resume."
            )
        user, _ = authenticated
        if not user.is_staff or not user.has_perms(NEEDED):
            raise PermissionDenied("Your role does not include uploads.")
        request_id = request._request.request_id  # type: ignore[attr-defined]
        return staff(user.get_username(), request_id), None


BY_SESSION = {"authentication_classes": [BrowserSession]}
urlpatterns = [
    re_path(rf"^{IMAGE_ID}/uploads$", uploads.UploadsView.as_view(**BY_SESSION)),
    re_path(
        rf"^{IMAGE_ID}/uploads/{UPLOAD_ID}$", uploads.UploadView.as_view(**BY_SESSION)
    ),
]
