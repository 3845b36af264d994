"""JSON documents that the pages poll while transfers run; two or three queries each."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from images.admin import dashboard, formatting
from images.admin.actions import require
from images.admin.shortcuts import get_image_or_404
from images.models import Image, Status, Transfer, TransferStatus

MAX_IMAGES = 200  # in one request


def images(request: HttpRequest) -> HttpResponse:
    """Return the status and progress of the images of the query ``?ids=A,B``, as JSON."""
    require(request)
    ids = request.GET.get("ids", "").split(",")[:MAX_IMAGES]
    statuses = dict(Image.objects.filter(pk__in=ids).values_list("pk", "status"))
    return JsonResponse({"images": _shown(statuses), "transfers": _progress(ids)})


def image(request: HttpRequest, image_id: str) -> HttpResponse:
    """Return the status and progress of one image, as JSON."""
    require(request)
    image = get_image_or_404(image_id)
    return JsonResponse(
        {
            "images": _shown({image.pk: image.status}),
            "transfers": _progress([image.pk]),
        }
    )


def overview(request: HttpRequest) -> HttpResponse:
    """Return the numbers of the front page as JSON: the text of each element with ``data-live``."""
    require(request)
    return JsonResponse({"live": dashboard.numbers()})


def _shown(statuses: dict[str, str]) -> dict[str, Any]:
    return {
        image_id: {"status": status, "label": Status(status).label}
        for image_id, status in statuses.items()
    }


def _progress(ids: list[str]) -> list[dict[str, Any]]:
    running = Transfer.objects.filter(image__in=ids, status=TransferStatus.RUNNING)
    return [formatting.progress(transfer) for transfer in running]
