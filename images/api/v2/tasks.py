"""Tasks of the import API: requested imports, and what became of them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from django.http import HttpResponse
from rest_framework.request import Request

from images import access
from images.http import responses
from images.http.views import ApiViewSet, get_caller
from images.models import Transfer, TransferStatus
from images.transfers import tasks

STATUSES: Final = {
    TransferStatus.WAITING: "pending",
    TransferStatus.RUNNING: "processing",
    TransferStatus.DONE: "success",
    TransferStatus.FAILED: "failure",
}


class ImageTaskViewSet(ApiViewSet):
    """``/v2/images/{id}/tasks``: the imports of an image."""

    def list(self, request: Request, image_id: str) -> HttpResponse:
        """Return the tasks of an image that have not expired, newest first.

        Only administrators see the tasks of other projects.
        """
        caller = get_caller(request)
        access.get_image(caller, image_id)
        found = tasks.current().filter(image=image_id)
        if not caller.is_admin:
            found = found.filter(task_project=caller.project)
        newest = found.order_by("-started_at", "-pk")
        return responses.json({"tasks": [_of_image(task) for task in newest]})


def _of_image(transfer: Transfer) -> dict[str, Any]:
    return {
        "id": str(transfer.task_id),
        "type": "api_image_import",
        "status": STATUSES[TransferStatus(transfer.status)],
        "owner": transfer.task_project,
        "image_id": transfer.image_id,
        "request_id": transfer.request_id,
        "user_id": transfer.task_user,
        "input": {"image_id": transfer.image_id, "import_req": transfer.task_request},
        "result": _result(transfer),
        "message": transfer.error,
        "created_at": _raw(transfer.started_at),
        "updated_at": _raw(transfer.ended_at or transfer.heartbeat_at),
        "expires_at": _raw(tasks.expires_at(transfer)),
        "deleted_at": None,
        "deleted": False,
    }


def _result(transfer: Transfer) -> dict[str, str] | None:
    done = transfer.status == TransferStatus.DONE
    return {"image_id": transfer.image_id} if done else None


def _raw(moment: datetime | None) -> str | None:
    """Return a time with microseconds and without a zone, as image tasks show it."""
    return responses.instant(moment).removesuffix("Z") if moment else None
