"""Tasks of the import API: requested imports and locations, and their results.

A task is stored as the transfer whose row has the task's id. If the worker's shutdown
interrupts the transfer, the task's id moves to the transfer that repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Final, Literal
from uuid import UUID

from django.conf import settings
from django.db.models import Q, QuerySet
from django.db.models.functions import Coalesce
from django.utils import timezone

from images import errors
from images.models import ImportMethod, Transfer, positions

UPDATED_AT = Coalesce("ended_at", "heartbeat_at")
# The keys by which clients sort tasks -> columns.
SORT_COLUMNS: Final = {
    "created_at": "started_at",
    "updated_at": "updated_at",
    "status": "status",
    "id": "task_id",
}


@dataclass(frozen=True)
class Task:
    """A requested import or location: its id, the user and project of the request, and its content.

    ``method`` is empty for a location.
    """

    id: UUID
    method: ImportMethod | Literal[""]
    user: str
    project: str | None
    request: Mapping[str, Any]  # without secrets


def of(transfer: Transfer) -> Task | None:
    """Return the task of a transfer; None if no request to the import API has begun it."""
    if transfer.task_id is None:
        return None
    return Task(
        transfer.task_id,
        ImportMethod(transfer.import_method) if transfer.import_method else "",
        transfer.task_user,
        transfer.task_project,
        transfer.task_request or {},
    )


def current() -> QuerySet[Transfer]:
    """Return the transfers of the tasks that have not expired."""
    expired_before = timezone.now() - _time_to_live()
    recent = Q(ended_at=None) | Q(ended_at__gt=expired_before)
    return Transfer.objects.filter(recent).exclude(task_id=None)


def page(
    found: QuerySet[Transfer], column: str, descending: bool, after: str | None
) -> QuerySet[Transfer]:
    """Return the tasks ``found``, sorted by ``column``, that follow the task with the id ``after``.

    Returns all tasks if ``after`` is None. Raises Invalid if there is no such task.
    """
    found = found.annotate(updated_at=UPDATED_AT)
    if after is not None:
        last = found.filter(task_id=after).values(column, "task_id").first()
        if last is None:
            raise errors.Invalid(f"There is no task {after} to continue after.")
        position = last[column], "task_id", last["task_id"]
        found = found.filter(positions.after(column, descending, *position))
    sign = "-" if descending else ""
    return found.order_by(f"{sign}{column}", f"{sign}task_id")


def expires_at(transfer: Transfer) -> datetime | None:
    """Return the time at which an ended task expires; None while it has not ended."""
    return transfer.ended_at and transfer.ended_at + _time_to_live()


def _time_to_live() -> timedelta:
    return timedelta(seconds=settings.IMAGECATALOG_TASK_TIME_TO_LIVE)
