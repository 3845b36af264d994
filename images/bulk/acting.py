"""Carry out bulk changes: change one image after the other, and keep a result for each.

An interrupted job begins again with the images that have no result yet. Events of a bulk change
name it, and so show whether one of these images was changed before the interruption.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Final

from django.db.models import Count
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images import errors
from images.access import Caller
from images.bulk import undoing
from images.bulk.edits import EDIT, UNDO_EDIT, Edit, edit, undo
from images.bulk.verbs import VERBS
from images.job_queue import JobKind, RunningJob
from images.models import BulkChange, BulkResult, BulkRow, Event, positions

KIND: Final = "bulk-change"  # of jobs

Act = Callable[[BulkRow, Caller, str], None]  # row, actor, reason


def carry_out(job: RunningJob) -> Mapping[str, object]:
    """Carry out the job of a bulk change: change its images that have no result yet."""
    change = BulkChange.objects.get(pk=job.arguments["change"])
    detail = {"bulk_change": str(change.pk)}
    actor = replace(job.actor, interface=change.interface, detail=detail)
    act = _act_of(change)
    found = results(change)
    total = sum(found.values())
    done = total - found.get(BulkResult.PLANNED, 0)
    planned = change.rows.filter(result=BulkResult.PLANNED)
    for row in positions.in_batches(planned):
        job.progress(done, total)
        if _was_changed(row, actor):  # by an attempt that was interrupted
            row.result, row.error = BulkResult.DONE, ""
        else:
            row.result, row.error = _outcome(act, row, actor, change.reason)
        row.save(update_fields=["result", "error"])
        done += 1
    job.progress(done, total)
    BulkChange.objects.filter(pk=change.pk).update(finished_at=timezone.now())
    return {"change": str(change.pk), **results(change)}


def _act_of(change: BulkChange) -> Act:
    """Return the function that a bulk change calls for each of its rows."""
    if change.verb == EDIT:
        return partial(edit, Edit.of(change.edit))
    if change.verb == UNDO_EDIT:
        return undo
    verb: Callable[..., None] = VERBS[change.verb]
    if change.verb == "scrub":  # not what was restored and deleted again meanwhile
        verb = partial(verb, until=change.created_at)
    if change.verb == "delete":  # of one image, the user sees what it would remove
        verb = partial(verb, keep_trash=True)
    if change.undoes:
        verb = partial(verb, step=partial(undoing.checked, change.undoes))
    return lambda row, actor, reason: verb(row.image_id, actor, reason)


def results(change: BulkChange) -> dict[str, int]:
    """Return the number of images of a bulk change by result. One query."""
    counts = change.rows.values_list("result").annotate(Count("pk")).order_by()
    return {str(result): number for result, number in counts}


def _outcome(
    act: Act, row: BulkRow, actor: Caller, reason: str
) -> tuple[BulkResult, str]:
    """Change one image of a bulk change by ``verb``; return the result, and why it was refused.

    ``row`` is the image's row in the bulk change. The reason is empty unless the change was
    refused. Raises LeaseExpired and ServerStopping, after which the image has no result yet.
    """
    refusal = ""
    try:
        act(row, actor, reason)
    except (errors.LeaseExpired, errors.ServerStopping):
        raise
    except errors.ImageError as error:
        refusal = error.for_operator()
    if refusal:
        return BulkResult.REFUSED, refusal
    # The verb may have found nothing to change.
    return (BulkResult.DONE if _was_changed(row, actor) else BulkResult.UNCHANGED), ""


def _was_changed(row: BulkRow, actor: Caller) -> bool:
    """Return whether this bulk change has changed the image of ``row`` before. One query.

    ``actor`` names the bulk change in its ``detail``, as do all events of the bulk change.
    """
    events = Event.objects.filter(image=row.image_id)
    return events.filter(detail__bulk_change=actor.detail["bulk_change"]).exists()


JOB: Final = JobKind(KIND, carry_out, _("Bulk change"), unit="images")
