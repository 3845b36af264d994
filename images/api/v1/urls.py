"""The resources of API v1 and their routes."""

from __future__ import annotations

from django.urls import re_path
from rest_framework.routers import Route, SimpleRouter

from images.api.v1.images import ImageRootViewSet, ImageViewSet
from images.api.v1.members import ImageMemberViewSet, SharedImageViewSet
from images.http.views import IMAGE_ID, UnknownPathView


class V1Router(SimpleRouter):
    """A router that also maps the methods special to API v1, such as PUT for all members of an image."""

    routes = [
        Route(
            url=r"^{prefix}$",
            mapping={"get": "list", "post": "create", "put": "replace"},
            name="{basename}-list",
            detail=False,
            initkwargs={},
        ),
        SimpleRouter.routes[1],
        Route(
            url=r"^{prefix}/{lookup}$",
            mapping={
                "get": "retrieve",
                "head": "metadata",
                "put": "update",
                "delete": "destroy",
            },
            name="{basename}-detail",
            detail=True,
            initkwargs={},
        ),
    ]


router = V1Router(trailing_slash=False)
router.register("images", ImageViewSet, basename="image")
router.register(
    f"images/{IMAGE_ID}/members", ImageMemberViewSet, basename="image-member"
)
router.register("shared-images", SharedImageViewSet, basename="shared-image")

urlpatterns = [
    # The root and a trailing slash mean the list, as they always did in API v1.
    re_path(
        r"^(?:images/)?$", ImageRootViewSet.as_view({"get": "list", "post": "create"})
    ),
    *router.urls,
    re_path(r"", UnknownPathView.as_view()),
]
