"""The JSON document with tags that complete what is typed into the filter of the list of images."""

from __future__ import annotations

from typing import Final

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_GET

from images.admin.actions import require
from images.models import Image

NEWEST: Final = 2_000  # images whose tags are suggested
SUGGESTED: Final = 20  # tags at once


@require_GET
def suggest(request: HttpRequest) -> HttpResponse:
    """Return tags of the newest 2,000 images that contain the query parameter ``term``, as JSON.

    Tags that begin with it are first. One query.
    """
    require(request)
    term = request.GET.get("term", "").strip().lower()
    images = Image.objects.existing().order_by("-created_at")
    tags = {
        tag for own in images.values_list("tags", flat=True)[:NEWEST] for tag in own
    }
    found = (tag for tag in tags if term in tag.lower())
    ranked = sorted(found, key=lambda tag: (not tag.lower().startswith(term), tag))
    return JsonResponse({"names": ranked[:SUGGESTED]})
