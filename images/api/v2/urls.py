"""The resources of API v2."""

from __future__ import annotations

from django.urls import path, re_path

from images.api.v2 import (
    discovery,
    image_actions,
    image_data,
    image_history,
    image_members,
    image_tags,
    images,
    uploads,
)
from images.http.views import IMAGE_ID, UnknownPath

IMAGE = rf"^images/{IMAGE_ID}"
UPLOAD_ID = r"(?P<upload_id>[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})"

urlpatterns = [
    path("images", images.Images.as_view()),
    re_path(rf"{IMAGE}$", images.Image.as_view()),
    re_path(rf"{IMAGE}/file$", image_data.File.as_view()),
    re_path(
        rf"{IMAGE}/actions/(?P<action>deactivate|reactivate)$",
        image_actions.Action.as_view(),
    ),
    re_path(rf"{IMAGE}/actions/restore$", image_actions.Restore.as_view()),
    re_path(rf"{IMAGE}/history$", image_history.History.as_view()),
    re_path(rf"{IMAGE}/members$", image_members.Members.as_view()),
    re_path(rf"{IMAGE}/members/(?P<member_id>[^/]+)$", image_members.Member.as_view()),
    re_path(rf"{IMAGE}/uploads$", uploads.Uploads.as_view()),
    re_path(rf"{IMAGE}/uploads/{UPLOAD_ID}$", uploads.Upload.as_view()),
    re_path(rf"{IMAGE}/tags/(?P<tag>[^/]+)$", image_tags.Tag.as_view()),
    re_path(
        r"^schemas/(?P<name>image|images|member|members)$", discovery.Schema.as_view()
    ),
    re_path(r"", UnknownPath.as_view()),
]
