"""The pages that preview and run a retention policy, show a run and undo it."""

from __future__ import annotations

from typing import Any

from django import forms
from django.contrib import messages
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from images import errors
from images.admin import formatting, polling
from images.admin.actions import get_caller, may, require
from images.admin.shortcuts import ReasonForm, add_outcome, context, try_verb
from images.models import (
    JobStatus,
    Result,
    RetentionDecision,
    RetentionPolicy,
    RetentionRun,
)
from images.retention import listing, policies, runs, undoing
from images.retention.decisions import DECISIONS, Decision
from images.retention.preview import Preview, preview
from images.units import counted

SHOWN = 200  # decisions on a page
RUN = "images.run_retentionpolicy"  # permissions
DELETE = "images.delete_retentionpolicy"


class RunReasonForm(ReasonForm):
    """The form for the reason of a run, or of the undo of a run."""

    recorded = gettext_lazy("Recorded in the histories of the images.")


class RunForm(RunReasonForm):
    """The form below a preview of a retention policy that starts the previewed run.

    ``preview`` is the token of the preview; ``force`` allows more images than the policy's limit.
    """

    preview = forms.CharField(widget=forms.HiddenInput, max_length=64)
    force = forms.BooleanField(
        label=gettext_lazy("Force"),
        required=False,
        help_text=gettext_lazy("Act on more images than the policy allows in a run."),
    )
    field_order = ("reason", "force", "preview")


def preview_page(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Show what a run of a policy would do; a POST with the token of this preview runs it."""
    require(request)
    policy = _get_policy_or_404(policy_id)
    form = RunForm(request.POST or None)
    if request.method == "POST":
        require(request, RUN)
        if form.is_valid() and (run := _started(request, policy, form)):
            return redirect("admin:images_retention_run", run.pk)
    only = request.GET.get("decision", "")
    shown = (only,) if only in DECISIONS else DECISIONS
    try:
        found = preview(policy, limit=SHOWN, only=shown)
    except errors.Invalid as error:  # a value of a newer release
        messages.error(request, str(error))
        return redirect("admin:images_retentionpolicy_change", policy.pk)
    if not found.exceeds(policy):
        form.fields.pop("force")
    return TemplateResponse(
        request,
        "admin/images/retention/preview.html",
        context(
            request,
            opts=RetentionPolicy._meta,
            title=_("Preview of %(policy)s") % {"policy": policy.name},
            policy=policy,
            found=found,
            rows=[_row(decision) for decision in found.page],
            counts=_counts(found),
            only=only,
            size=formatting.size(found.size),
            exceeds=runs.would_refuse(policy, found) if found.exceeds(policy) else "",
            can_run=may(request, RUN) and bool(found.acts),
            form=form,
        ),
    )


def _get_policy_or_404(policy_id: int) -> RetentionPolicy:
    policy = RetentionPolicy.objects.filter(pk=policy_id).first()
    if policy is None:
        raise Http404(_("There is no such retention policy."))
    return policy


def _started(
    request: HttpRequest, policy: RetentionPolicy, form: RunForm
) -> RetentionRun | None:
    given, started = form.cleaned_data, None

    def start() -> None:
        nonlocal started
        started = runs.start(
            get_caller(request),
            policy.name,
            given["reason"],
            token=given["preview"],
            force=given.get("force", False),
        )

    if refused := try_verb(start):
        form.add_error(None, refused)  # above a new preview
    return started


def run_page(request: HttpRequest, run_id: int) -> HttpResponse:
    """Show a run with its decisions and their results; a POST undoes it."""
    require(request)
    run = RetentionRun.objects.select_related("policy", "job", "undo_job")
    found = run.filter(pk=run_id).first()
    if found is None:
        raise Http404(_("There is no such run of a retention policy."))
    form = RunReasonForm(request.POST if request.method == "POST" else None)
    if form.is_bound:
        require(request, RUN)
        if form.is_valid():
            _undo(request, run_id, form.cleaned_data["reason"])
            return redirect("admin:images_retention_run", run_id)
    marker = request.GET.get("after", "")
    page, following = listing.decisions(
        found, marker=int(marker) if marker.isdecimal() else None, limit=SHOWN
    )
    return TemplateResponse(
        request,
        "admin/images/retention/run.html",
        context(
            request,
            opts=RetentionPolicy._meta,
            title=_("Run %(run)s of %(policy)s")
            % {"run": found.pk, "policy": found.name},
            run=found,
            status=listing.status(found),
            **_live(found),
            started=formatting.ago(found.started_at),
            rows=[
                {
                    "row": row,
                    "title": formatting.named(row.name),
                    "size": formatting.size(row.size),
                    "result": _result(found, row),
                }
                for row in page
            ],
            following=following,
            ends_schedule=undoing.ends_schedule(found.pk),
            can_undo=may(request, RUN) and undoing.can_start(found),
            form=form,
        ),
    )


def _undo(request: HttpRequest, run_id: int, reason: str) -> None:
    done = _("The run is being undone.")
    if undoing.ends_schedule(run_id):
        done += " " + _("The schedule of the policy has ended.")
    refused = try_verb(lambda: undoing.start(get_caller(request), run_id, reason))
    add_outcome(request, refused, done)


def _result(run: RetentionRun, row: RetentionDecision) -> str:
    """Return the label of the result of a decision."""
    labels = dict(Result.choices) | dict(JobStatus.choices)
    return str(labels[listing.result(run, row)]).lower()


def _live(run: RetentionRun) -> dict[str, Any]:
    """Return the state and the progress of a run's open job, which the page of the run polls."""
    jobs = [job for job in (run.job, run.undo_job) if job is not None and job.is_open]
    running = [
        formatting.job_bar(job) for job in jobs if job.status == JobStatus.RUNNING
    ]
    return {
        "state": polling.state(jobs),
        "open_job": jobs[0] if jobs else None,
        "progress": running[0] if running else "",
    }


def delete(request: HttpRequest, policy_id: int) -> HttpResponse:
    """Ask whether to delete a policy; a POST deletes it."""
    require(request, DELETE)
    policy = _get_policy_or_404(policy_id)
    if request.method == "POST":
        refused = try_verb(lambda: policies.delete(get_caller(request), policy.name))
        add_outcome(request, refused, _("The policy was deleted."))
        if refused:
            return redirect("admin:images_retentionpolicy_change", policy.pk)
        return redirect("admin:images_retentionpolicy_changelist")
    title = _("Delete %(policy)s") % {"policy": policy.name}
    page = context(request, opts=RetentionPolicy._meta, title=title, policy=policy)
    return TemplateResponse(request, "admin/images/retention/delete.html", page)


def _row(decision: Decision) -> dict[str, Any]:
    fact = decision.fact
    return {
        "fact": fact,
        "title": formatting.named(fact.name),
        "decision": decision.decision,
        "because": decision.because,
        "is_action": decision.is_action,
        "age": counted((timezone.now() - fact.built).days, "day"),
        "size": formatting.size(fact.size),
    }


def _counts(found: Preview) -> list[dict[str, Any]]:
    return [
        {"decision": it, "number": found.counts[it]}
        for it in DECISIONS
        if found.counts[it]
    ]
