"""API views with the version documents of the identity API, which clients read before sign-in."""

from __future__ import annotations

from typing import Any

from django.http import HttpResponse
from rest_framework.request import Request

from imagecatalog.identity.api.views import OpenViewSet, base
from images.http import responses

MEDIA_TYPE = "application/vnd.openstack.identity-v3+json"


class VersionViewSet(OpenViewSet):
    """The version documents of the identity API. These requests need no credentials."""

    def list(self, request: Request) -> HttpResponse:
        """Return the list of versions (version 3 is the only one), with status code 300."""
        return responses.json({"versions": {"values": [_version(request)]}}, 300)

    def retrieve(self, request: Request) -> HttpResponse:
        """Return the version document of version 3."""
        return responses.json({"version": _version(request)})


def _version(request: Request) -> dict[str, Any]:
    return {
        "id": "v3.14",
        "status": "stable",
        "updated": "2020-04-07T00:00:00Z",
        "links": [{"rel": "self", "href": f"{base(request)}/"}],
        "media-types": [{"base": "application/json", "type": MEDIA_TYPE}],
    }
