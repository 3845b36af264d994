"""The resources of the catalogue's own API, ``/catalog/v1``, and their routes."""

from __future__ import annotations

from django.urls import re_path
from rest_framework.routers import SimpleRouter

from images.api.catalog.families import FamilyViewSet
from images.api.catalog.family_versions import FamilyVersionViewSet
from images.api.catalog.features import FeatureViewSet
from images.api.catalog.image_digests import ImageDigestViewSet, SameImageViewSet
from images.api.catalog.jobs import JobViewSet
from images.api.catalog.quotas import QuotaViewSet
from images.api.catalog.retention import RetentionPolicyViewSet
from images.api.catalog.retention_runs import RetentionRunViewSet
from images.http.views import IMAGE_ID, UnknownPathView

router = SimpleRouter(trailing_slash=False)
router.register("images", SameImageViewSet, basename="same-image")
router.register(
    f"images/{IMAGE_ID}/digests", ImageDigestViewSet, basename="image-digest"
)
router.register("families", FamilyViewSet, basename="family")
router.register(
    "families/(?P<family>[^/]+)/versions",
    FamilyVersionViewSet,
    basename="family-version",
)
router.register("quotas", QuotaViewSet, basename="quota")
router.register("jobs", JobViewSet, basename="job")
router.register("retention", RetentionPolicyViewSet, basename="retention-policy")
router.register(
    "retention/(?P<name>[^/]+)/runs", RetentionRunViewSet, basename="retention-run"
)

urlpatterns = [
    re_path(r"^$", FeatureViewSet.as_view({"get": "list"})),
    *router.urls,
    re_path(r"", UnknownPathView.as_view()),
]
