"""The page of a bulk change: first its preview, then its progress, then its report."""

from __future__ import annotations

import time
from typing import Any, Final
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors, job_queue, logs, pause
from images.admin import bulk_consequences, formatting, polling
from images.admin.actions import ACTIONS, UNDO, get_caller, may, require
from images.admin.bulk_preview import preview, selected
from images.admin.changelist import prefetch, project_names
from images.admin.edit_form import EditForm
from images.admin.shortcuts import ReasonForm, add_outcome, context, try_verb
from images.bulk import acting, drafts
from images.bulk.edits import EDIT, Edit
from images.jobs import kinds
from images.models import BulkChange, BulkResult, BulkRow, Image, JobStatus, positions

SHOWN: Final = 100  # images on a page of the report
ALL: Final = "all"  # results
# A request itself carries out a bulk change of at most so many images, and for at most so many
# seconds. A background worker changes the others.
AT_ONCE: Final = 200
SECONDS: Final = 3.0
EDIT_PERMISSION: Final = "images.change_image"
CANCEL: Final = "images.cancel_job"  # permission


class BulkReasonForm(ReasonForm):
    """The form for the reason of a bulk change."""

    recorded = gettext_lazy("Recorded in the histories of the images.")


def permission(verb: str) -> str:
    """Return the Django permission that a bulk change with this verb needs."""
    return EDIT_PERMISSION if verb == EDIT else ACTIONS[verb].permission


def label(verb: str) -> str:
    """Return the name of a verb as pages show it; the verb itself if this release has no such verb."""
    if verb == EDIT:
        return _("Edit")
    return str(ACTIONS[verb].label) if verb in ACTIONS else verb


def start(request: HttpRequest, images: QuerySet[Image], verb: str) -> HttpResponse:
    """Create a draft for images, and redirect to its page.

    Raises PermissionDenied without the permission for the verb.
    """
    require(request, permission(verb))
    change = drafts.create(verb, images, get_caller(request))
    return _redirect(change)


def show(request: HttpRequest, change_id: UUID) -> HttpResponse:
    """Show a bulk change; a POST says what it edits, or starts, cancels or undoes it."""
    require(request)
    changes = BulkChange.objects.select_related("job")
    change = changes.filter(pk=change_id).first()
    is_draft = change is not None and change.requested_at is None
    if change is None or (is_draft and change.actor != get_caller(request).user):
        raise Http404(
            _("There is no such bulk change. Drafts are removed after a day.")
        )
    if request.method == "POST":
        return _post(request, change)
    if change.requested_at is None:
        return _draft(request, change)
    return _report(request, change)


def _redirect(change: BulkChange) -> HttpResponse:
    return redirect("admin:images_image_bulk", change.pk)


def _post(request: HttpRequest, change: BulkChange) -> HttpResponse:
    if "cancel" in request.POST:
        return _cancel(request, change)
    if "undo" in request.POST:
        return _undo(request, change)
    require(request, permission(change.verb))
    if "edit" in request.POST:
        return _set_edit(request, change)
    form = BulkReasonForm(request.POST)
    if not form.is_valid():
        return _draft(request, change, form=form)
    try:
        change = drafts.request(
            change.pk, get_caller(request), form.cleaned_data["reason"]
        )
    except errors.ImageError as error:
        messages.error(request, str(error))
    else:
        _begin(change)
    return _redirect(change)


def _begin(change: BulkChange) -> None:
    """Carry out a small bulk change in this request, as far as it gets in a few seconds."""
    job_id = change.job_id
    if job_id is None or change.rows.count() > AT_ONCE or pause.current():
        return
    end, log_context = time.monotonic() + SECONDS, logs.bound()
    # False: a background worker was faster.
    kinds.carry_out(job_id, lambda: time.monotonic() > end)
    logs.bind(log_context)


def _set_edit(request: HttpRequest, change: BulkChange) -> HttpResponse:
    form = EditForm(request.POST)
    if form.is_valid():
        try:
            drafts.set_edit(change.pk, form.edit)
        except errors.ImageError as error:
            form.add_error(None, str(error))
        else:
            return _redirect(change)
    return _draft(request, change, edit_form=form)


def _cancel(request: HttpRequest, change: BulkChange) -> HttpResponse:
    require(request, CANCEL)
    refused = ""
    if change.job_id:
        job_id = change.job_id
        refused = try_verb(lambda: job_queue.cancel(job_id, get_caller(request)))
    add_outcome(
        request, refused, _("The bulk change ends. What it has changed stays as it is.")
    )
    return _redirect(change)


def _undo(request: HttpRequest, change: BulkChange) -> HttpResponse:
    if change.verb not in UNDO or _is_open(change):
        raise Http404(_("This bulk change cannot be undone, or not yet."))
    return start(request, drafts.changed_images(change), UNDO[change.verb])


def _is_open(change: BulkChange) -> bool:
    return change.job is not None and change.job.is_open


# A draft


def _draft(
    request: HttpRequest,
    change: BulkChange,
    *,
    form: BulkReasonForm | None = None,
    edit_form: EditForm | None = None,
) -> HttpResponse:
    """Return the page of a draft: what it edits, how many images would change, and the reason."""
    found, edit = preview(change), Edit.of(change.edit)
    is_edit = change.verb == EDIT
    dangerous, sentences, deleted = False, "", 0
    if is_edit:
        edit_form = edit_form or EditForm.of(edit)
    else:
        action, images = ACTIONS[change.verb], selected(change)
        dangerous = action.dangerous
        sentences = bulk_consequences.before(action, images)
        deleted = bulk_consequences.deleted_size(action, images)
    listed = [*found.changing_images, *(it.image for it in found.refused_images)]
    prefetch(listed)
    return TemplateResponse(
        request,
        "admin/images/image/bulk.html",
        context(
            request,
            title=_("%(label)s: %(images)s")
            % {"label": label(change.verb), "images": formatting.images(found.total)},
            label=label(change.verb),
            dangerous=dangerous,
            found=found,
            counts=_preview_counts(found.changing, found.unchanged, found.refused),
            reasons=[
                {"reason": reason, "images": formatting.images(number)}
                for reason, number in found.reasons.items()
            ],
            consequence=sentences,
            deleted_size=formatting.amount(deleted) if deleted else "",
            edit_form=edit_form,
            edit=_edit_lines(edit),
            shows_preview=not is_edit or bool(change.edit),
            checked=f"{found.total - found.unchecked:,}",
            more_changing=found.changing - len(found.changing_images),
            more_refused=found.refused - len(found.refused_images),
            can_start=found.changing > 0 and may(request, permission(change.verb)),
            form=form or BulkReasonForm(first=not is_edit),
        ),
    )


def _preview_counts(changing: int, unchanged: int, refused: int) -> str:
    parts = [_("%(images)s will change") % {"images": formatting.images(changing)}]
    if unchanged:
        parts.append(_("%(count)s stay as they are") % {"count": f"{unchanged:,}"})
    if refused:
        parts.append(_("%(count)s will be refused") % {"count": f"{refused:,}"})
    return ", ".join(parts)


# A report


def _report(request: HttpRequest, change: BulkChange) -> HttpResponse:
    """Return the page of a bulk change that was started: its progress, and the result for each image."""
    counts = acting.results(change)
    refused = BulkResult.REFUSED if BulkResult.REFUSED in counts else ALL
    result = request.GET.get("result", refused)
    rows, following = _rows(change, result, request.GET.get("after", ""))
    job, is_open = change.job, _is_open(change)
    undo = UNDO.get(change.verb, "")
    can_undo = bool(undo and counts.get(BulkResult.DONE)) and not is_open
    return TemplateResponse(
        request,
        "admin/images/image/report.html",
        context(
            request,
            title=_title(change, counts, is_open=is_open),
            change=change,
            label=label(change.verb),
            edit=_edit_lines(Edit.of(change.edit)),
            status=_status(change),
            requested=formatting.ago(change.requested_at),
            job=job if is_open else None,
            bar=formatting.job_bar(job)
            if job is not None and job.status == JobStatus.RUNNING
            else "",
            error=job.error if job is not None and not is_open else "",
            state=polling.state([job] if job is not None else []),
            can_cancel=is_open and may(request, CANCEL),
            can_undo=can_undo and may(request, permission(undo)),
            tabs=_tabs(counts, result),
            rows=rows,
            result=result,
            following=following,
        ),
    )


def _title(change: BulkChange, counts: dict[str, int], *, is_open: bool) -> str:
    words = {
        "label": label(change.verb),
        "images": formatting.images(sum(counts.values())),
        "done": f"{counts.get(BulkResult.DONE, 0):,}",
        "refused": f"{counts.get(BulkResult.REFUSED, 0):,}",
    }
    if is_open:
        return _("%(label)s: %(images)s") % words
    return _("%(label)s: %(done)s changed, %(refused)s refused") % words


def _status(change: BulkChange) -> str:
    if change.job is not None:
        return str(change.job.get_status_display())
    return _("Succeeded") if change.finished_at else _("Ended")


def _tabs(counts: dict[str, int], current: str) -> list[dict[str, Any]]:
    """Return the choices of the report: all images, and each result that an image has."""
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
    """Return a page of the report, and the marker with which the next page begins. Two queries."""
    matching = change.rows.order_by("pk")
    if result != ALL:
        matching = matching.filter(result=result)
    if after.isdecimal() and after.isascii() and len(after) < 19:
        matching = matching.filter(pk__gt=int(after))
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


def _edit_lines(edit: Edit) -> list[str]:
    """Return what an edit changes, a line for each attribute, tag and property."""
    fields = dict(edit.fields)
    if owner := fields.get("owner"):
        fields["owner"] = project_names({owner}).get(owner, owner)
    return [
        *(f"{name}: {_value(value)}" for name, value in fields.items()),
        *(_("tag %(tag)s added") % {"tag": tag} for tag in edit.add_tags),
        *(_("tag %(tag)s removed") % {"tag": tag} for tag in edit.remove_tags),
        *(f"{name}={value}" for name, value in edit.properties.items()),
        *(
            _("property %(name)s removed") % {"name": name}
            for name in edit.remove_properties
        ),
    ]


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return str(value)
