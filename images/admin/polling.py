"""Views that return JSON documents, which admin pages poll to show the progress of transfers and jobs.

Each view makes up to three queries.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse

from images.admin import dashboard, formatting
from images.admin.actions import require
from images.admin.failures import failed_ids, is_failed
from images.admin.shortcuts import get_image_or_404
from images.attributes import parse_uuid
from images.job_queue.listing import LONG
from images.models import Image, Job, Transfer, TransferStatus

MAX_IMAGES = 200  # in one request
TRANSFERS = 20  # of an image, on its page


def images(request: HttpRequest) -> HttpResponse:
    """Return the status and progress of the images in the query ``?ids=A,B``, as JSON."""
    require(request)
    ids = request.GET.get("ids", "").split(",")[:MAX_IMAGES]
    statuses = dict(Image.objects.filter(pk__in=ids).values_list("pk", "status"))
    return JsonResponse(
        {"images": _shown(statuses, failed_ids(ids)), "transfers": _progress(ids)}
    )


def image(request: HttpRequest, image_id: str) -> HttpResponse:
    """Return the status and progress of one image, as JSON."""
    require(request)
    image = get_image_or_404(image_id)
    transfers = newest_transfers(image)
    failed = {image.pk} if is_failed(image, transfers) else set()
    return JsonResponse(
        {
            "images": _shown({image.pk: image.status}, failed),
            "transfers": [formatting.progress(it) for it in transfers if it.is_open],
            "state": state(transfers, image),
        }
    )


def newest_transfers(image: Image) -> list[Transfer]:
    """Return up to 20 transfers of an image, newest first, for the image's page. One query."""
    return list(image.transfers.order_by("-started_at", "-pk")[:TRANSFERS])


def transfers(request: HttpRequest) -> HttpResponse:
    """Return the progress of the transfers in the query ``?ids=A,B``, as JSON."""
    require(request)
    shown = list(Transfer.objects.filter(pk__in=_ids(request)))
    moving = [formatting.progress(it) for it in shown if it.is_open]
    return JsonResponse({"transfers": moving, "state": state(shown)})


def jobs(request: HttpRequest) -> HttpResponse:
    """Return the progress of the jobs in the query ``?ids=A,B``, as JSON."""
    require(request)
    shown = list(Job.objects.filter(pk__in=_ids(request)).defer(*LONG))
    moving = [formatting.job_progress(it) for it in shown if it.is_open]
    return JsonResponse({"jobs": moving, "state": state(shown)})


def _ids(request: HttpRequest) -> list[UUID]:
    ids = map(parse_uuid, request.GET.get("ids", "").split(",")[:MAX_IMAGES])
    return [it for it in ids if it]


def state(work: Sequence[Transfer | Job], image: Image | None = None) -> str:
    """Return a text that changes when an open transfer or job begins, changes its status or ends.

    Pages reload when the text changes. With ``image``, ``work`` are its newest transfers: the
    status of the image is a part of the text, and so is the newest transfer, which can begin and
    end between two polls. The status of the image alone would not show that a copy to another
    store has ended.
    """
    shown = [it for it in work if it.is_open]
    if image:
        shown += work[:1]
    statuses = {f"{it.pk}={it.status}" for it in shown}
    return " ".join([*([image.status] if image else []), *sorted(statuses)])


def overview(request: HttpRequest) -> HttpResponse:
    """Return the numbers on the front page as JSON, by the name of the HTML element that shows them."""
    require(request)
    return JsonResponse({"live": dashboard.numbers()})


def _shown(statuses: dict[str, str], failed: set[str]) -> dict[str, Any]:
    """Return the status of images and how their labels show it; ``failed`` are ids of images."""
    return {
        image_id: {
            "status": status,
            "tone": "failed" if image_id in failed else status,
            "label": formatting.status_label(status, failed=image_id in failed),
        }
        for image_id, status in statuses.items()
    }


def _progress(ids: list[str]) -> list[dict[str, Any]]:
    running = Transfer.objects.filter(image__in=ids, status=TransferStatus.RUNNING)
    return [formatting.progress(transfer) for transfer in running]
