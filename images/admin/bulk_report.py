"""The report of a bulk change: its progress, and the result for each image."""

from __future__ import annotations

from typing import Any, Final

from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _

from images import units
from images.admin import formatting, polling
from images.admin.actions import may
from images.admin.bulk_texts import UNDO, edit_lines, label, permission
from images.admin.job_admin import CANCEL
from images.admin.shortcuts import context
from images.bulk import acting, drafts
from images.bulk.edits import Edit
from images.models import BulkChange, BulkResult, BulkRow, Image, JobStatus, positions

SHOWN: Final = 100  # images on a page
ALL: Final = "all"  # results


def page(request: HttpRequest, change: BulkChange) -> HttpResponse:
    """Return the page of a bulk change that was started: its progress, and the result for each image."""
    counts = acting.results(change)
    refused = BulkResult.REFUSED if BulkResult.REFUSED in counts else ALL
    result = request.GET.get("result", refused)
    rows, following = _rows(change, result, request.GET.get("after", ""))
    job, is_open = change.job, change.is_open
    undo = UNDO.get(change.verb)
    has_undo = undo is not None and may(request, permission(undo))
    can_go_on = drafts.can_go_on(change) and BulkResult.PLANNED in counts
    return TemplateResponse(
        request,
        "admin/images/image/report.html",
        context(
            request,
            title=_title(change, counts),
            change=change,
            label=label(change.verb),
            edit=edit_lines(Edit.of(change.edit)),
            status=_status(change),
            requested=formatting.ago(change.requested_at),
            job=job if is_open else None,
            bar=formatting.job_bar(job)
            if job is not None and job.status == JobStatus.RUNNING
            else "",
            error=job.error if job is not None and not is_open else "",
            state=polling.state([job] if job is not None else []),
            can_cancel=is_open and may(request, CANCEL),
            can_go_on=can_go_on and may(request, permission(change.verb)),
            can_undo=has_undo and BulkResult.DONE in counts and not is_open,
            tabs=_tabs(counts, result),
            rows=rows,
            has_errors=any(row["error"] for row in rows),
            result=result,
            following=following,
        ),
    )


def _title(change: BulkChange, counts: dict[str, int]) -> str:
    words = {
        "label": label(change.verb),
        "images": formatting.images(sum(counts.values())),
        "done": f"{counts.get(BulkResult.DONE, 0):,}",
        "refused": f"{counts.get(BulkResult.REFUSED, 0):,}",
    }
    if change.is_open:
        return _("%(label)s: %(images)s") % words
    return _("%(label)s: %(done)s changed, %(refused)s refused") % words


def _status(change: BulkChange) -> str:
    if change.job is not None:
        return str(change.job.get_status_display())
    return _("Succeeded") if change.finished_at else _("Ended")


def _tabs(counts: dict[str, int], current: str) -> list[dict[str, Any]]:
    """Return the tabs of the report: one for all images, and one for each result that occurs.

    ``counts`` are the numbers of images by result, ``current`` is the result of the current tab.
    """
    numbers = {ALL: sum(counts.values()), **counts}
    return [
        {
            "value": value,
            "label": name,
            "number": f"{numbers[value]:,}",
            "current": value == current,
        }
        for value, name in [(ALL, _("All")), *BulkResult.choices]
        if value in numbers
    ]


def _rows(
    change: BulkChange, result: str, after: str
) -> tuple[list[dict[str, Any]], str | None]:
    """Return the rows on a page of the report, and the marker of the next page. Two queries.

    The page begins after the marker ``after``. It has the images with the result ``result``, or all
    images. The returned marker is None if no page follows.
    """
    matching = change.rows.order_by("pk")
    if result != ALL:
        matching = matching.filter(result=result)
    marker = units.parse_digits(after, 18)
    if marker is not None:
        matching = matching.filter(pk__gt=marker)
    page, following = positions.first(matching, SHOWN)
    images = Image.objects.filter(purged=False).in_bulk([row.image_id for row in page])
    return [_row(row, images.get(row.image_id)) for row in page], following


def _row(row: BulkRow, image: Image | None) -> dict[str, Any]:
    return {
        "id": row.image_id,
        "title": formatting.title(image) if image else row.image_id,
        "exists": image is not None,
        "badge": formatting.badge(image.status) if image else "–",
        "result": row.get_result_display(),
        "error": row.error,
    }
