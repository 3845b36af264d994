"""Jobs: long work that a background worker carries out, with its progress and its result."""

from __future__ import annotations

from typing import Self
from uuid import uuid4

from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import Exists, OuterRef, Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class JobStatus(models.TextChoices):
    """The statuses of a job: waiting and running are open, the others are final."""

    WAITING = "waiting", _("Waiting")
    RUNNING = "running", _("Running")
    SUCCEEDED = "succeeded", _("Succeeded")
    FAILED = "failed", _("Failed")
    CANCELLED = "cancelled", _("Cancelled")


OPEN_JOBS = (JobStatus.WAITING, JobStatus.RUNNING)


class JobQuerySet(models.QuerySet["Job"]):
    """Filters that select jobs."""

    def open(self) -> Self:
        """Select the jobs that wait or run."""
        # Not IN: each of the two statuses has an index of its own.
        return self.filter(
            Q(status=JobStatus.WAITING.value) | Q(status=JobStatus.RUNNING.value)
        )

    def due(self) -> Self:
        """Select the waiting jobs that can begin now: no job of the same kind and key is running."""
        same = Job.objects.filter(
            status=JobStatus.RUNNING.value, kind=OuterRef("kind"), key=OuterRef("key")
        )
        begins = Q(not_before=None) | Q(not_before__lte=timezone.now())
        is_free = Q(key="") | ~Exists(same)
        return self.filter(begins, is_free, status=JobStatus.WAITING.value)


class Job(models.Model):
    """Work that a background worker carries out, and whose progress and result callers can see.

    A running job has a lease, like a transfer: without heartbeats its worker counts as dead, and
    the job waits again. ``attempts`` counts the workers that have begun it, and so identifies the
    present one. Of the jobs of one kind with the same ``key``, at most one waits and one runs.
    """

    id = models.UUIDField(_("id"), primary_key=True, default=uuid4, editable=False)
    kind = models.CharField(_("kind"), max_length=32)
    # Blank: the job is never merged with another one.
    key = models.CharField(_("key"), max_length=255, blank=True, db_default="")
    status = models.CharField(
        _("status"),
        max_length=9,
        choices=JobStatus.choices,
        default=JobStatus.WAITING,
        db_default=JobStatus.WAITING,
    )
    progress_done = models.BigIntegerField(default=0, db_default=0)
    progress_total = models.BigIntegerField(null=True)  # NULL: unknown
    progress_unit = models.CharField(max_length=16, blank=True, db_default="")
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    # A worker begins the job then; NULL: at once.
    not_before = models.DateTimeField(null=True)
    started_at = models.DateTimeField(_("started"), null=True)  # the last attempt
    heartbeat_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(_("finished"), null=True)
    # The name of the process.
    worker = models.CharField(_("worker"), max_length=255, blank=True, db_default="")
    attempts = models.PositiveIntegerField(_("attempts"), default=0, db_default=0)
    # Attempts that ended because their worker died or a store failed, since one of them last came
    # further than all before it.
    failed_attempts = models.PositiveIntegerField(default=0, db_default=0)
    # The progress of the failed attempt that came furthest.
    progress_furthest = models.BigIntegerField(default=0, db_default=0)
    cancel_requested_at = models.DateTimeField(null=True)
    error_code = models.CharField(max_length=32, blank=True, db_default="")
    error = models.TextField(_("error"), blank=True, db_default="")  # for users
    # The caller whose change or request has caused the job.
    actor = models.CharField(_("user"), max_length=255, blank=True, db_default="")
    # Blank: only admins see the job.
    project = models.CharField(_("project"), max_length=255, blank=True, db_default="")
    interface = models.CharField(_("interface"), max_length=16, db_default="")
    request_id = models.CharField(
        _("request id"), max_length=64, blank=True, db_default=""
    )
    reason = models.TextField(_("reason"), blank=True, db_default="")
    arguments = models.JSONField(
        default=dict,
        db_default=Value({}, models.JSONField()),
        encoder=DjangoJSONEncoder,
    )
    result = models.JSONField(null=True, encoder=DjangoJSONEncoder)

    objects = JobQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        permissions = [("cancel_job", "Can cancel job")]
        verbose_name = _("job")
        verbose_name_plural = _("jobs")
        constraints = [
            models.UniqueConstraint(
                fields=["kind", "key"],
                name="one_waiting_job_of_a_key",
                condition=Q(status="waiting") & ~Q(key=""),
            ),
            models.UniqueConstraint(
                fields=["kind", "key"],
                name="one_running_job_of_a_key",
                condition=Q(status="running") & ~Q(key=""),
            ),
        ]
        indexes = [
            # Lists of jobs, newest first: those of a project, and all of them.
            models.Index("project", "created_at", "id", name="job_of_project"),
            models.Index("created_at", "id", name="job_newest"),
            models.Index(
                "created_at", name="job_waiting", condition=Q(status="waiting")
            ),
            models.Index(
                "heartbeat_at", name="job_running", condition=Q(status="running")
            ),
            models.Index(
                "finished_at",
                name="job_finished",
                condition=Q(finished_at__isnull=False),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.kind} {self.id} ({self.status})"

    @property
    def is_open(self) -> bool:
        """Whether the job waits or runs."""
        return self.status in OPEN_JOBS

    @property
    def is_cancelling(self) -> bool:
        """Whether the job runs although somebody has cancelled it: its worker has not noticed yet."""
        return self.status == JobStatus.RUNNING and self.cancel_requested_at is not None
