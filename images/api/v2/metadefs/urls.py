"""The routes of metadata definitions."""

from __future__ import annotations

from rest_framework.routers import Route, SimpleRouter

from images.api.v2.metadefs.namespaces import NAMESPACE, NamespaceViewSet
from images.api.v2.metadefs.objects import ObjectViewSet
from images.api.v2.metadefs.properties import PropertyViewSet
from images.api.v2.metadefs.resource_types import (
    AssociationViewSet,
    ResourceTypeViewSet,
)
from images.api.v2.metadefs.tags import TagViewSet

NAMESPACES = "metadefs/namespaces"
ONE = f"{NAMESPACES}/(?P<namespace>{NAMESPACE})"


class ContentRouter(SimpleRouter):
    """A router for the lists of definitions in a namespace, with two more routes than DRF's router.

    DELETE on a list deletes all its entries, and POST on the path of an entry adds this entry.
    """

    routes = [
        Route(
            url=r"^{prefix}$",
            mapping={"get": "list", "post": "create", "delete": "clear"},
            name="{basename}-list",
            detail=False,
            initkwargs={},
        ),
        SimpleRouter.routes[1],
        Route(
            url=r"^{prefix}/{lookup}$",
            mapping={
                "get": "retrieve",
                "post": "add",
                "put": "update",
                "delete": "destroy",
            },
            name="{basename}-detail",
            detail=True,
            initkwargs={},
        ),
    ]


router = ContentRouter(trailing_slash=False)
router.register(NAMESPACES, NamespaceViewSet, basename="metadef-namespace")
router.register(
    "metadefs/resource_types", ResourceTypeViewSet, basename="metadef-resource-type"
)
router.register(f"{ONE}/objects", ObjectViewSet, basename="metadef-object")
router.register(f"{ONE}/properties", PropertyViewSet, basename="metadef-property")
router.register(f"{ONE}/tags", TagViewSet, basename="metadef-tag")
router.register(
    f"{ONE}/resource_types", AssociationViewSet, basename="metadef-association"
)

urlpatterns = router.urls
