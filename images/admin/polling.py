"""What the pages ask for while something moves: small JSON documents, two or three queries."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse, JsonResponse

from images.admin import dashboard, formatting
from images.admin.actions import require
from images.admin.shortcuts import find
from images.models import Image, Status, Transfer, TransferStatus

AT_MOST = 200  # images in one question


def images(request: HttpRequest) -> HttpResponse:
    """``?ids=A,B``: the status and the progress of each of these images."""
    require(request)
    ids = request.GET.get("ids", "").split(",")[:AT_MOST]
    statuses = dict(Image.objects.filter(pk__in=ids).values_list("pk", "status"))
    return JsonResponse({"images": _shown(statuses), "transfers": _progress(ids)})


def image(request: HttpRequest, image_id: str) -> HttpResponse:
    """The same of one image."""
    require(request)
    found = find(image_id)
    return JsonResponse(
        {
            "images": _shown({found.pk: found.status}),
            "transfers": _progress([found.pk]),
        }
    )


def overview(request: HttpRequest) -> HttpResponse:
    """The numbers of the front page: the words of each element that has ``data-live``."""
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
