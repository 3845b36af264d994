"""The resources of the catalogue's own API, ``/catalog/v1``, and their routes."""

from __future__ import annotations

from django.urls import re_path
from rest_framework.routers import SimpleRouter

from images.api.catalog.quotas import QuotaViewSet
from images.http.views import UnknownPathView

router = SimpleRouter(trailing_slash=False)
router.register("quotas", QuotaViewSet, basename="quota")

urlpatterns = [*router.urls, re_path(r"", UnknownPathView.as_view())]
