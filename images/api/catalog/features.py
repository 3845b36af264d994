"""The view of ``/catalog/v1``, which shows the version and the features of this API."""

from __future__ import annotations

from django.conf import settings
from django.http import HttpResponse
from rest_framework.request import Request

from images.http import responses
from images.http.views import ApiViewSet

VERSION = "1.0"
FEATURES = ("digests", "families", "jobs", "publishing", "quotas", "retention")


class FeatureViewSet(ApiViewSet):
    """``/catalog/v1``: the version and the features of the catalogue's own API."""

    def list(self, request: Request) -> HttpResponse:
        """Return the version of this API, and its features: name -> whether it is available here.

        Clients can read here whether a feature is available, instead of trying its paths.
        """
        features = dict.fromkeys(FEATURES, True)
        features["publishing"] = settings.IMAGECATALOG_PUBLISH != "off"
        return responses.json({"features": features, "version": VERSION})
