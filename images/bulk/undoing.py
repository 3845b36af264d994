"""Undo of bulk changes: only what the bulk change has done, and nobody has changed since."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final
from uuid import UUID

from django.db.models import F, OuterRef, Q, Subquery, TextField, Value
from django.db.models.fields.json import KT
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from images import errors
from images.models import BulkChange, Event, Image

TOUCHED: Final = "Somebody has changed the status of the image since."


def left_by(change_id: UUID) -> Q:
    """Return the condition that a bulk change was the last to change the status of an image."""
    moves = Event.objects.filter(image=OuterRef("pk"))
    moves = moves.exclude(to_status=F("from_status")).order_by("-pk")
    newest = Subquery(moves.values(by=KT("detail__bulk_change"))[:1])
    text = Coalesce(newest, Value(""), output_field=TextField())
    return Q(Exact(text, Value(str(change_id))))


def likely_left_by(change_id: UUID) -> Q:
    """Return the same condition as ``left_by``, cheaper for many images.

    It also holds for an image that somebody has changed before the bulk change ended.
    """
    condition = left_by(change_id)
    changes = BulkChange.objects.filter(pk=change_id)
    finished_at = changes.values_list("finished_at", flat=True).first()
    if finished_at:
        condition = Q(updated_at__lte=finished_at) | condition
    return condition


@contextmanager
def checked(change_id: UUID, image: Image) -> Iterator[None]:
    """Check, with the image locked, that a bulk change was the last to change its status.

    A step of the verbs of the life cycle. Raises Conflict.
    """
    if not Image.objects.filter(left_by(change_id), pk=image.pk).exists():
        raise errors.Conflict(f"{TOUCHED} Nothing was undone.")
    yield
