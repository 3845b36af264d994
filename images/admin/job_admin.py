"""The admin pages of jobs: the list, a job with its progress and result, and its cancellation."""

from __future__ import annotations

import json
from typing import Any
from uuid import UUID

from django.contrib import admin, messages
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.template.response import TemplateResponse
from django.urls import URLPattern, path
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from images import errors, job_queue
from images.admin import formatting, polling
from images.admin.actions import get_caller, may, require
from images.admin.changelist import shown_project
from images.admin.polled_list import FILTER, ChoicesFilter, PolledAdmin, PolledList
from images.admin.shortcuts import ReasonForm, context
from images.job_queue.listing import LONG
from images.jobs import kinds
from images.models import BulkChange, Job, RetentionRun
from images.retention import runs, undoing

CANCEL = "images.cancel_job"  # permission


class JobKindFilter(admin.SimpleListFilter):
    """The filter of the list of jobs by kind."""

    title = _("kind")
    parameter_name = "kind"
    template = FILTER

    def lookups(self, request: HttpRequest, model_admin: Any) -> list[tuple[str, Any]]:
        """Return the kinds from which the user can choose, as (value, label)."""
        return [(kind.name, kind.label) for kind in kinds.KINDS.values()]

    def queryset(self, request: HttpRequest, queryset: QuerySet[Job]) -> QuerySet[Job]:
        """Return the jobs of the chosen kind; all of them without a choice."""
        chosen = self.value()
        return queryset.filter(kind=chosen) if chosen else queryset


class JobList(PolledList):
    """The list of jobs in the admin."""

    def get_queryset(
        self, request: HttpRequest, exclude_parameters: Any = None
    ) -> QuerySet[Job]:
        """Return the jobs that match, without their arguments and results, which can be long."""
        rows: QuerySet[Job] = super().get_queryset(request, exclude_parameters)
        return rows.defer(*LONG)


class JobReasonForm(ReasonForm):
    """The form for the reason why a job is cancelled."""

    recorded = _("Shown with the job.")


class JobAdmin(PolledAdmin):
    """The admin pages of jobs, which users can view and cancel, but not add."""

    empty = _("There are no such jobs.")
    list_display = (
        "kind_shown",
        "badge",
        "progress",
        "owner_shown",
        "created",
        "error",
    )
    list_display_links = ("kind_shown",)
    list_filter = (("status", ChoicesFilter), JobKindFilter)
    search_fields = ("^id", "=project", "=shown_owner", "=actor")
    search_help_text = _(
        "The id of a job or of a user, or the name or id of a project."
    )
    ordering = ("-created_at", "-pk")
    change_form_template = "admin/images/job/page.html"
    fields = (
        "kind_shown",
        "badge",
        "progress",
        "error",
        "owner_shown",
        "actor",
        "interface",
        "reason",
        "created",
        "started",
        "active",
        "finished",
        "attempts",
        "arguments_shown",
        "result_shown",
        "request_id",
        "worker",
    )

    def get_queryset(self, request: HttpRequest) -> QuerySet[Job]:
        """Return the jobs, each with its project's name."""
        rows: QuerySet[Job] = super().get_queryset(request)
        return rows.annotate(shown_owner=shown_project("project"))

    def get_changelist(self, request: HttpRequest, **kwargs: Any) -> type[PolledList]:
        """Return JobList, the class of the list of jobs."""
        return JobList

    def get_urls(self) -> list[URLPattern]:
        """Return the URLs of the pages about jobs, and of the document that they poll."""
        view = self.admin_site.admin_view
        names = ("images_job_changelist", "images_job_change")
        return [
            path("live/", view(polling.jobs), name="images_job_live"),
            path("<uuid:job_id>/cancel/", view(cancel), name="images_job_cancel"),
            *(url for url in super().get_urls() if url.name in names),
        ]

    def render_change_form(
        self, request: HttpRequest, context: Any, *args: Any, **options: Any
    ) -> HttpResponse:
        """Show a job, which the page polls while it is open."""
        job = context["original"]
        context |= {
            "title": _title(job, run := _run_of(job)),
            "run": run,
            "bulk_change": BulkChange.objects.filter(job=job.pk).first(),
            "can_cancel": job.is_open and may(request, CANCEL),
            "state": polling.state([job]),
        }
        return super().render_change_form(request, context, *args, **options)

    @admin.display(description=_("kind"))
    def kind_shown(self, job: Job) -> str:
        """Return the kind of the job as text."""
        return kinds.label(job.kind)

    @admin.display(description=_("status"))
    def badge(self, job: Job) -> SafeString:
        """Return the status of the job as a coloured label in HTML.

        The element has the job's id, which the script of the page uses for polling.
        """
        note = gettext("is being cancelled") if job.is_cancelling else ""
        return format_html(
            '<span data-polled="{}">{}</span> {}',
            job.pk,
            formatting.work_badge(job),
            note,
        )

    @admin.display(description=_("progress"))
    def progress(self, job: Job) -> SafeString | str:
        """Return the progress of the job, as HTML with a bar while it runs."""
        return formatting.job_bar(job)

    @admin.display(description=_("project"))
    def owner_shown(self, job: Any) -> str:
        """Return the name of the job's project; its id if the name is unknown."""
        return str(job.shown_owner or "–")

    @admin.display(description=_("requested"))
    def created(self, job: Job) -> SafeString | str:
        """Return how long ago the job was requested, as HTML."""
        return formatting.ago(job.created_at)

    @admin.display(description=_("begun"))
    def started(self, job: Job) -> SafeString | str:
        """Return how long ago the last attempt began, as HTML."""
        return formatting.ago(job.started_at)

    @admin.display(description=_("last activity"))
    def active(self, job: Job) -> SafeString | str:
        """Return how long ago the worker of the job last reported, as HTML."""
        return formatting.ago(job.started_at and job.heartbeat_at)

    @admin.display(description=_("ended"))
    def finished(self, job: Job) -> SafeString | str:
        """Return how long ago the job ended, as HTML."""
        return formatting.ago(job.finished_at)

    @admin.display(description=_("arguments"))
    def arguments_shown(self, job: Job) -> SafeString | str:
        """Return the arguments of the job as JSON, in HTML."""
        return _json(job.arguments)

    @admin.display(description=_("result"))
    def result_shown(self, job: Job) -> SafeString | str:
        """Return the result of the job as JSON, in HTML."""
        return _json(job.result)


def _run_of(job: Job) -> RetentionRun | None:
    """Return the run of a retention policy that a job carries out or undoes; None for other jobs."""
    if job.kind not in (runs.RUN, undoing.UNDO):
        return None
    found = RetentionRun.objects.filter(pk=job.arguments.get("run"))
    return found.first()


def _title(job: Job, run: RetentionRun | None) -> str:
    kind = kinds.label(job.kind)
    return kind if run is None else f"{kind}: {run.name}"


def cancel(request: HttpRequest, job_id: UUID) -> HttpResponse:
    """Show the confirmation page for cancelling a job; a POST cancels the job."""
    require(request, CANCEL)
    job = Job.objects.filter(pk=job_id).first()
    if job is None:
        raise Http404(gettext("There is no job with this id."))
    form = JobReasonForm(request.POST if request.method == "POST" else None)
    if not form.is_valid():
        label = _title(job, _run_of(job))
        page = context(
            request, title=gettext("Cancel job"), job=job, form=form, label=label
        )
        return TemplateResponse(request, "admin/images/job/cancel.html", page)
    reason = form.cleaned_data["reason"]
    try:
        job = job_queue.cancel(job_id, get_caller(request), reason)
    except errors.ImageError as error:
        messages.error(request, str(error))
    else:
        messages.success(request, _cancelled(job))
    return redirect("admin:images_job_change", job_id)


def _cancelled(job: Job) -> str:
    if job.is_cancelling:
        return gettext("The job ends as soon as its worker notices.")
    return gettext("The job was cancelled.")


def _json(value: object) -> SafeString | str:
    if not value:
        return "–"
    text = json.dumps(value, indent=2, cls=DjangoJSONEncoder, ensure_ascii=False)
    return format_html("<pre>{}</pre>", text)
