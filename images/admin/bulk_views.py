"""The page of a bulk change: the preview of a draft, and the report once the change has started."""

from __future__ import annotations

import time
from typing import Final
from uuid import UUID

from django.contrib import messages
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors, job_queue, logs, pause
from images.admin import bulk_consequences, bulk_report, formatting
from images.admin.actions import ACTIONS, get_caller, may, require
from images.admin.bulk_edit_form import EditForm
from images.admin.bulk_preview import Preview, preview
from images.admin.bulk_texts import UNDO, edit_lines, label, permission
from images.admin.changelist import prefetch
from images.admin.job_admin import CANCEL
from images.admin.shortcuts import ReasonForm, add_outcome, context, try_verb
from images.bulk import drafts
from images.bulk.drafts import digest
from images.bulk.edits import EDIT, Edit
from images.jobs import kinds
from images.models import BulkChange, Image

# A request itself carries out a bulk change of at most so many images, and for at most so many
# seconds. A background worker changes the others.
AT_ONCE: Final = 200
SECONDS: Final = 3.0


class BulkReasonForm(ReasonForm):
    """The form for the reason of a bulk change."""

    recorded = gettext_lazy("Recorded in the histories of the images.")


def start(request: HttpRequest, images: QuerySet[Image], verb: str) -> HttpResponse:
    """Create the draft of a bulk change of ``images``, and redirect to its page.

    Raises PermissionDenied without the permission for the verb.
    """
    require(request, permission(verb))
    change = drafts.create(verb, images, get_caller(request))
    return _redirect(change)


def show(request: HttpRequest, change_id: UUID) -> HttpResponse:
    """Show a bulk change; a POST sets its edit, starts, cancels, continues or undoes it."""
    require(request)
    changes = BulkChange.objects.kept().select_related("job")
    change = changes.filter(pk=change_id).first()
    user = get_caller(request).user
    if change is None or (change.is_draft and change.actor != user):
        raise Http404(
            _(
                "There is no such bulk change. Drafts are removed after a day, and the oldest of "
                "a user who has more than %(most)s."
            )
            % {"most": drafts.MOST_DRAFTS}
        )
    if request.method == "POST":
        return _post(request, change)
    if change.is_draft:
        return _draft(request, change)
    return bulk_report.page(request, change)


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
    if "continue" in request.POST:
        return _continue(request, change)
    form = BulkReasonForm(request.POST)
    if not form.is_valid():
        return _draft(request, change, form=form)
    try:
        change = drafts.request(
            change.pk,
            get_caller(request),
            form.cleaned_data["reason"],
            previewed=request.POST.get("previewed", ""),
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


def _continue(request: HttpRequest, change: BulkChange) -> HttpResponse:
    try:
        change = drafts.go_on(change.pk, get_caller(request))
    except errors.ImageError as error:
        messages.error(request, str(error))
    else:
        _begin(change)
    return _redirect(change)


def _undo(request: HttpRequest, change: BulkChange) -> HttpResponse:
    if change.verb not in UNDO or change.is_open:
        raise Http404(_("This bulk change cannot be undone, or not yet."))
    verb = UNDO[change.verb]
    require(request, permission(verb))
    return _redirect(drafts.create_undo(change, verb, get_caller(request)))


def _draft(
    request: HttpRequest,
    change: BulkChange,
    *,
    form: BulkReasonForm | None = None,
    edit_form: EditForm | None = None,
) -> HttpResponse:
    """Return the page of a draft: what it edits, how many images would change, and the reason."""
    found, edit, previewed = preview(change), Edit.of(change.edit), digest(change)
    is_edit = change.verb == EDIT
    dangerous, sentences, deleted = False, "", 0
    if is_edit:
        edit_form = edit_form or EditForm.of(edit)
    elif found.possible is not None:
        action = ACTIONS[change.verb]
        dangerous = action.dangerous
        sentences = bulk_consequences.before(action, found.possible, found.no_room)
        deleted = bulk_consequences.deleted_size(action, found.possible)
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
            counts=_preview_counts(found),
            previewed=previewed,
            reasons=[
                {"reason": reason, "images": formatting.images(number)}
                for reason, number in found.reasons.items()
            ],
            consequence=sentences,
            deleted_size=formatting.amount(deleted) if deleted else "",
            edit_form=edit_form,
            edit=edit_lines(edit),
            shows_preview=not is_edit or bool(change.edit),
            tried=f"{found.total - found.untried:,}",
            untried=formatting.images(found.untried),
            starting=f"{found.changing + found.untried:,}",
            more_changing=found.changing - len(found.changing_images),
            more_refused=found.refused - len(found.refused_images),
            can_start=found.changing + found.untried > 0
            and may(request, permission(change.verb)),
            form=form or BulkReasonForm(first=not is_edit),
        ),
    )


def _preview_counts(found: Preview) -> str:
    images = formatting.images(found.changing)
    parts = [_("%(images)s will change") % {"images": images}]
    if found.unchanged:
        count = f"{found.unchanged:,}"
        parts.append(_("%(count)s stay as they are") % {"count": count})
    if found.refused:
        count = f"{found.refused:,}"
        parts.append(_("%(count)s will be refused") % {"count": count})
    return ", ".join(parts)
