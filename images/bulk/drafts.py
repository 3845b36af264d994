"""Drafts of bulk changes: store the selected images, then request the change; and their removal."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

from django.conf import settings
from django.core.exceptions import EmptyResultSet
from django.db import connection, transaction
from django.db.models import Exists, OuterRef, Q, QuerySet, UUIDField, Value
from django.utils import timezone

from images import errors, job_queue
from images.access import Caller
from images.bulk.acting import KIND
from images.bulk.edits import EDIT, Edit
from images.duty import Duty
from images.models import BulkChange, BulkResult, BulkRow, Image, Job

DRAFT_TIME: Final = timedelta(days=1)
MOST_DRAFTS: Final = 20  # of one user; older ones are removed
BATCH: Final = 1000  # rows that one transaction removes


def create(verb: str, images: QuerySet[Image], caller: Caller) -> BulkChange:
    """Create a draft of a bulk change for the images that a query finds, and return the draft.

    The draft keeps these images, the oldest first, even if the query later finds others. ``verb``
    names what the bulk change does. The number of SQL statements is the same for any number of
    images. Discards the oldest drafts of a user who has more than MOST_DRAFTS.
    """
    ordered = images.order_by("created_at", "pk")
    return _create(BulkChange(verb=verb), ordered, {"image_id": "pk"}, caller)


def create_undo(undone: BulkChange, verb: str, caller: Caller) -> BulkChange:
    """Create a draft that undoes a bulk change with ``verb`` in the images that it has changed."""
    change = BulkChange(verb=verb, undoes=undone.pk)
    done = undone.rows.filter(result=BulkResult.DONE).order_by("pk")
    columns = {"image_id": "image", "changed": "changed"}
    return _create(change, done, columns, caller)


def _create(
    change: BulkChange, found: QuerySet[Any], columns: dict[str, str], caller: Caller
) -> BulkChange:
    """Save a draft with a row for each object in a query; ``columns``: column of rows -> field."""
    change.actor, change.interface = caller.user, caller.interface
    change.request_id = caller.request_id
    with transaction.atomic():
        change.save(force_insert=True)
        _insert_rows(change, found, columns)
        _discard_oldest(caller.user)
    return change


def _insert_rows(
    change: BulkChange, found: QuerySet[Any], columns: dict[str, str]
) -> None:
    # The ORM has no INSERT … SELECT, and would send a million ids to and fro.
    change_pk = Value(change.pk, output_field=UUIDField())
    selected = found.values_list(change_pk, *columns.values()).query
    quote = connection.ops.quote_name
    names = ", ".join(map(quote, ("change_id", *columns)))
    with suppress(EmptyResultSet), connection.cursor() as cursor:
        sql, params = selected.sql_with_params()
        table = quote(BulkRow._meta.db_table)
        cursor.execute(f"INSERT INTO {table} ({names}) {sql}", params)


def _discard_oldest(user: str) -> None:
    drafts = BulkChange.objects.drafts().filter(actor=user)
    newest = drafts.order_by("-created_at").values_list("pk", flat=True)[:MOST_DRAFTS]
    drafts.exclude(pk__in=list(newest)).update(discarded=True)


def set_edit(change_id: UUID, edit: Edit) -> None:
    """Set the edit that a draft of a bulk change will make in its images.

    Raises Invalid or Forbidden for a value that no image can have, and Conflict if the bulk change
    has been requested already.
    """
    edit.check()
    drafts = BulkChange.objects.drafts().filter(pk=change_id, verb=EDIT)
    if not drafts.update(edit=edit.as_document):
        raise _requested()


def digest(change: BulkChange) -> str:
    """Return the SHA-256 of a bulk change's edit in hexadecimal digits; empty if it has no edit."""
    if not change.edit:
        return ""
    text = json.dumps(change.edit, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def request(
    change_id: UUID, caller: Caller, reason: str, *, previewed: str = ""
) -> BulkChange:
    """Request the job that carries out a draft of a bulk change, and return the bulk change.

    The calling code must have checked that ``caller`` is allowed to make the change. ``previewed``
    is the digest of the edit that the caller has seen. Raises NotFound, Invalid for an edit that
    changes nothing, and Conflict if the bulk change was requested already, or if the draft has
    another edit by now.
    """
    with transaction.atomic():
        change = _locked(change_id)
        if not change.is_draft:
            raise _requested()
        if change.verb == EDIT and not change.edit:
            raise errors.Invalid("The edit changes nothing. Say what is to change.")
        if digest(change) != previewed:
            raise errors.Conflict(
                "The edit was changed after this preview, perhaps in another window. Look at "
                "its preview now."
            )
        change.actor, change.interface = caller.user, caller.interface
        change.request_id, change.reason = caller.request_id, reason
        change.requested_at = timezone.now()
        change.job = _request_job(change, caller)
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


def can_go_on(change: BulkChange) -> bool:
    """Return whether the job of a bulk change has ended before it has tried every image."""
    return (
        change.finished_at is None and change.job is not None and not change.job.is_open
    )


def go_on(change_id: UUID, caller: Caller) -> BulkChange:
    """Request another job, which continues a bulk change whose job has failed or was cancelled.

    The caller must have been checked for the permission to do it. Raises NotFound, and Conflict if
    there is nothing to continue.
    """
    with transaction.atomic():
        change = _locked(change_id)
        if not can_go_on(change):
            raise errors.Conflict(
                "The bulk change runs, or has ended. There is nothing to continue."
            )
        change.job = _request_job(change, caller)
        change.save(update_fields=["job"])
    return change


def _locked(change_id: UUID) -> BulkChange:
    rows = BulkChange.objects.kept().select_for_update()
    change = rows.filter(pk=change_id).first()
    if change is None:
        raise errors.NotFound(f"There is no bulk change {change_id}.")
    # In a query of its own: the job can be another one since the row was read.
    if change.job_id is not None:
        change.job = Job.objects.filter(pk=change.job_id).first()
    return change


def _request_job(change: BulkChange, caller: Caller) -> Job:
    return job_queue.request(
        KIND,
        caller,
        key=str(change.pk),
        project="",
        reason=change.reason,
        arguments={"change": str(change.pk), "verb": change.verb},
    )


def _requested() -> errors.Conflict:
    return errors.Conflict("The bulk change was started already.")


def prune() -> int:
    """Remove old drafts, and old bulk changes with their reports; return the number of rows.

    A draft is removed a day after its creation. A finished bulk change is removed
    IMAGECATALOG_JOB_TIME_TO_LIVE seconds after its end; a failed or cancelled one after its job,
    and not earlier than this time after its creation.
    """
    now = timezone.now()
    kept = timedelta(seconds=settings.IMAGECATALOG_JOB_TIME_TO_LIVE)
    draft = Q(requested_at=None, created_at__lt=now - DRAFT_TIME)
    # A cancelled or failed change never gets a finished_at, and goes once its job is gone. A release
    # before this one may have removed the job, and left its id in the row.
    has_job = Exists(Job.objects.filter(pk=OuterRef("job_id")))
    started = Q(requested_at__isnull=False)
    ended = Q(started, ~has_job, created_at__lt=now - kept)
    ended |= Q(finished_at__lt=now - kept)
    # They are marked first, so that nobody can start or continue one while its rows are removed.
    BulkChange.objects.kept().filter(draft | ended).update(discarded=True)
    return sum(map(_remove, BulkChange.objects.filter(discarded=True)))


def _remove(change: BulkChange) -> int:
    removed = 0
    while ids := list(change.rows.values_list("pk", flat=True)[:BATCH]):
        removed += BulkRow.objects.filter(pk__in=ids).delete()[0]
    return removed + change.delete()[0]


DUTIES = (Duty("remove old bulk changes", prune, period=600.0, may_block=True),)
