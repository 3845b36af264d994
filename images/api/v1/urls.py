"""The resources of API v1."""

from __future__ import annotations

from django.urls import re_path

from images.api.v1 import images, members
from images.http.views import IMAGE_ID, UnknownPath

IMAGE = rf"^images/{IMAGE_ID}"

urlpatterns = [
    re_path(r"^(?:images/?)?$", images.Images.as_view()),
    re_path(r"^images/detail/?$", images.Details.as_view()),
    re_path(rf"{IMAGE}$", images.Image.as_view()),
    re_path(rf"{IMAGE}/members$", members.Members.as_view()),
    re_path(rf"{IMAGE}/members/(?P<member_id>[^/]+)$", members.Member.as_view()),
    re_path(r"^shared-images/(?P<member_id>[^/]+)$", members.SharedImages.as_view()),
    re_path(r"", UnknownPath.as_view()),
]
