"""Drafts of bulk changes: store the selected images, then request the change."""

from __future__ import annotations

from contextlib import suppress
from datetime import timedelta
from typing import Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import Q, QuerySet, UUIDField, Value
from django.utils import timezone

from images import errors, job_queue
from images.access import Caller
from images.bulk.acting import KIND
from images.bulk.edits import EDIT, Edit
from images.duty import Duty
from images.models import BulkChange, BulkResult, BulkRow, Image

DRAFT_TIME: Final = timedelta(days=1)


def create(verb: str, images: QuerySet[Image], caller: Caller) -> BulkChange:
    """Create a draft for the images in a query, and return it. Two statements for any number.

    The draft keeps the images that match now, the oldest first, whatever matches later.
    """
    change = BulkChange(
        verb=verb,
        actor=caller.user,
        interface=caller.interface,
        request_id=caller.request_id,
    )
    with transaction.atomic():
        change.save(force_insert=True)
        _insert_rows(change, images.order_by("created_at", "pk"))
    return change


def _insert_rows(change: BulkChange, images: QuerySet[Image]) -> None:
    # The ORM has no INSERT … SELECT, and would send a million ids to and fro.
    change_pk = Value(change.pk, output_field=UUIDField())
    selected = images.values_list(change_pk, "pk").query
    names = (BulkRow._meta.db_table, "change_id", "image_id")
    table, *columns = map(connection.ops.quote_name, names)
    with suppress(EmptyResultSet), connection.cursor() as cursor:
        sql, params = selected.sql_with_params()
        cursor.execute(f"INSERT INTO {table} ({', '.join(columns)}) {sql}", params)


def set_edit(change_id: UUID, edit: Edit) -> None:
    """Set what a draft of an edit changes.

    Raises Invalid and Forbidden for a value that no image can have, and Conflict if the bulk
    change was requested meanwhile.
    """
    edit.check()
    drafts = BulkChange.objects.drafts().filter(pk=change_id, verb=EDIT)
    if not drafts.update(edit=edit.as_document):
        raise _requested()


def request(change_id: UUID, caller: Caller, reason: str) -> BulkChange:
    """Request the job of a draft for ``caller``, and return the bulk change.

    The caller must have been checked for the permission to do it. Raises Invalid for an edit that
    changes nothing, NotFound, and Conflict if the bulk change was requested already.
    """
    with transaction.atomic():
        rows = BulkChange.objects.select_for_update()
        change = rows.filter(pk=change_id).first()
        if change is None:
            raise errors.NotFound(f"There is no bulk change {change_id}.")
        if not change.is_draft:
            raise _requested()
        if change.verb == EDIT and not change.edit:
            raise errors.Invalid("The edit changes nothing. Say what is to change.")
        change.actor, change.interface = caller.user, caller.interface
        change.request_id, change.reason = caller.request_id, reason
        change.requested_at = timezone.now()
        change.job = job_queue.request(
            KIND,
            caller,
            key=str(change.pk),
            project="",
            reason=reason,
            arguments={"change": str(change.pk), "verb": change.verb},
        )
        change.save(
            update_fields=[
                "actor",
                "interface",
                "request_id",
                "reason",
                "requested_at",
                "job",
            ]
        )
    return change


def _requested() -> errors.Conflict:
    return errors.Conflict("The bulk change was started already.")


def changed_images(change: BulkChange) -> QuerySet[Image]:
    """Return the query for the images that a bulk change has changed."""
    done = change.rows.filter(result=BulkResult.DONE)
    return Image.objects.filter(pk__in=done.values("image"))


def prune() -> int:
    """Remove old bulk changes with their reports; return the number of removed rows.

    Drafts are removed after a day, others with their jobs, IMAGECATALOG_JOB_TIME_TO_LIVE after
    their end.
    """
    now = timezone.now()
    kept = timedelta(seconds=settings.IMAGECATALOG_JOB_TIME_TO_LIVE)
    draft = Q(requested_at=None, created_at__lt=now - DRAFT_TIME)
    # A cancelled or failed one never gets a finished_at; its job is removed at its time.
    started = Q(requested_at__isnull=False)
    ended = Q(started, created_at__lt=now - kept, job=None) | Q(
        finished_at__lt=now - kept
    )
    return BulkChange.objects.filter(draft | ended).delete()[0]


DUTIES = (Duty("remove old bulk changes", prune, period=600.0, may_block=True),)
