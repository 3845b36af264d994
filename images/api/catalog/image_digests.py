"""The views for the digests of an image's data, and for the images whose data has a given digest."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpResponse
from rest_framework.request import Request

from images import access, listing
from images.api import query
from images.http import responses
from images.http.views import ApiViewSet, get_caller
from images.listing import Listing
from images.models.rows import Row
from images.operations import known_digests

IMAGES: Final = "/catalog/v1/images"
SHOWN: Final = ("id", "name", "owner", "visibility", "status", "size")


class ImageDigestViewSet(ApiViewSet):
    """``/catalog/v1/images/{id}/digests``: the known digests of an image's data."""

    def list(self, request: Request, image_id: str) -> HttpResponse:
        """Return the digests of an image's data, and the damaged copies of the data.

        The source and the time of the digests' verification are included.
        """
        image = access.get_image(get_caller(request), image_id)
        report = known_digests.report(image)
        for name in ("verified_at", "stored_verified_at"):
            report[name] = responses.second_or_none(report[name])
        return responses.json(report)


class SameImageViewSet(ApiViewSet):
    """``/catalog/v1/images?digest=sha256:HEX``: the images whose data has the given digest."""

    def list(self, request: Request) -> HttpResponse:
        """Return a page of the visible images whose data has the digest in the query, newest first."""
        params = request.query_params
        query.check_text(params)
        algorithm, _, digest = params.get("digest", "").partition(":")
        wanted = Listing(
            where=known_digests.having(algorithm, digest),
            visibility="all",
            member_status="all",
            marker=params.get("marker"),
            limit=query.limit(params),
        )
        page = listing.page(get_caller(request), wanted)
        links = query.links(IMAGES, params, page.marker)
        return responses.json({"images": list(map(_document, page.rows)), **links})


def _document(image: Row) -> dict[str, Any]:
    return {name: image[name] for name in SHOWN}
