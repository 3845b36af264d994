"""Retention: policies that hide, deactivate and delete old images, and their runs."""

from __future__ import annotations

from typing import Any, Final, Self

from django.db import models
from django.db.models import Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images.models.image import Image
from images.models.job import OPEN_JOBS

MAX_NAME: Final = 63  # characters

# The columns that decide what a policy does. A run keeps a copy of them.
DECIDING: Final = ("scope", "select", "group_by", "keep", "shared", "actions")


class SharedImages(models.TextChoices):
    """The ways in which a policy treats images that another project has accepted."""

    KEEP = "keep", _("kept")
    ACT = "act", _("acted on like others")


class RetentionPolicy(models.Model):
    """A policy that decides which images of its scope are kept, and what happens to the others."""

    name = models.CharField(_("name"), max_length=MAX_NAME, unique=True)
    scope = models.JSONField(_("scope"))
    select = models.JSONField(
        _("selection"),
        blank=True,
        default=dict,
        db_default=Value({}, models.JSONField()),
    )
    group_by = models.CharField(
        _("group by"), max_length=264, default="name", db_default="name"
    )
    keep = models.JSONField(_("keep"))
    shared = models.CharField(
        _("shared images that a project has accepted are"),
        max_length=4,
        choices=SharedImages.choices,
        default=SharedImages.KEEP,
        db_default=SharedImages.KEEP,
    )
    actions = models.JSONField(
        _("actions"),
        blank=True,
        default=list,
        db_default=Value([], models.JSONField()),
    )
    # Cron text. Blank: the policy runs by hand only.
    schedule = models.CharField(
        _("schedule"), max_length=100, blank=True, default="", db_default=""
    )
    enabled = models.BooleanField(_("enabled"), default=True, db_default=True)
    max_per_run = models.PositiveIntegerField(
        _("images of a run, at most"), default=100, db_default=100
    )
    max_share = models.PositiveSmallIntegerField(
        _("share of a run, at most (%)"), default=50, db_default=50
    )
    # When the schedule starts the next run; NULL: never.
    next_run_at = models.DateTimeField(_("next run"), null=True)
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)
    version = models.PositiveIntegerField(_("changes"), default=1, db_default=1)

    class Meta:
        verbose_name = _("retention policy")
        verbose_name_plural = _("retention policies")
        permissions = [
            ("run_retentionpolicy", "Can run retention policy and undo its runs")
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def snapshot(self) -> dict[str, Any]:
        """The values that decide what the policy does."""
        return {name: getattr(self, name) for name in DECIDING}


class RetentionClock(models.Model):
    """The time since which a policy no longer keeps an image. Only runs of the policy write it.

    The actions of the policy are due a certain time after it. It is stored because it cannot be
    computed: no record says when an image lost the tag, the protection or the promotion that kept
    it, and a new policy must not act at once on images that it sees for the first time.
    """

    policy = models.ForeignKey(
        RetentionPolicy, models.CASCADE, related_name="retention_clocks"
    )
    # Without a constraint: the previous release deletes rows of images.
    image = models.ForeignKey(
        Image, models.CASCADE, related_name="retention_clocks", db_constraint=False
    )
    since = models.DateTimeField()
    # The last action of the policy on the image, and its time.
    action = models.CharField(max_length=10, blank=True, default="", db_default="")
    acted_at = models.DateTimeField(null=True)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["policy", "image"], name="one_clock_of_an_image"
            )
        ]

    def __str__(self) -> str:
        return f"{self.policy_id} {self.image_id} {self.since}"


class RunQuerySet(models.QuerySet["RetentionRun"]):
    """Filters that select runs."""

    def open(self) -> Self:
        """Select the runs with a job that waits or runs: their own, or the job that undoes them."""
        statuses = [status.value for status in OPEN_JOBS]
        return self.filter(
            Q(job__status__in=statuses) | Q(undo_job__status__in=statuses)
        )


class RetentionRun(models.Model):
    """A run of a policy: the values of the policy, who started it, and what it decided."""

    # NULL: the policy was deleted. Its runs stay, and can be undone.
    policy = models.ForeignKey(
        RetentionPolicy, models.SET_NULL, null=True, related_name="runs"
    )
    name = models.CharField(max_length=MAX_NAME, help_text="name of the policy")
    snapshot = models.JSONField()
    actor = models.CharField(max_length=255, blank=True, help_text="user id")
    interface = models.CharField(max_length=16)
    request_id = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    started_at = models.DateTimeField(default=timezone.now)
    finished_at = models.DateTimeField(null=True)
    undone_at = models.DateTimeField(null=True)
    # Number of images by decision, and in total.
    counts = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))
    # Why the run acts on nothing.
    refusal = models.TextField(blank=True, default="", db_default="")
    job = models.ForeignKey("Job", models.SET_NULL, null=True, related_name="+")
    undo_job = models.ForeignKey("Job", models.SET_NULL, null=True, related_name="+")

    objects = RunQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        verbose_name = _("run of a retention policy")
        verbose_name_plural = _("runs of retention policies")

    def __str__(self) -> str:
        return f"{self.name} {self.pk}"


class Result(models.TextChoices):
    """The results of a decision: what the run, or its undo, did with the image."""

    PLANNED = "planned", _("planned")
    DONE = "done", _("done")
    SKIPPED = "skipped", _("skipped")
    UNDONE = "undone", _("undone")
    NOT_UNDONE = "not_undone", _("not undone")


class RetentionDecision(models.Model):
    """The decision of a run to act on an image, and its result."""

    run = models.ForeignKey(RetentionRun, models.CASCADE, related_name="decisions")
    # Without a constraint: the previous release deletes rows of images.
    image = models.ForeignKey(
        Image, models.CASCADE, related_name="retention_decisions", db_constraint=False
    )
    name = models.CharField(max_length=255, blank=True, help_text="name of the image")
    group = models.CharField(max_length=255, blank=True)
    label = models.CharField(max_length=64, blank=True, help_text="version in a family")
    decision = models.CharField(max_length=10, help_text="hide, deactivate, delete")
    because = models.TextField()
    size = models.BigIntegerField(default=0, db_default=0, help_text="bytes")
    # updated_at of the image when the run decided, and after the run acted on the image.
    seen_at = models.DateTimeField()
    changed_at = models.DateTimeField(null=True)
    result = models.CharField(
        max_length=10,
        choices=Result.choices,
        default=Result.PLANNED,
        db_default=Result.PLANNED,
    )
    # What keeps the image, if the run has skipped it; and the sentence that says so.
    blocked_by = models.CharField(max_length=16, blank=True, default="", db_default="")
    error = models.TextField(blank=True, default="", db_default="")

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["run", "image"], name="one_decision_on_an_image"
            )
        ]
        indexes = [
            models.Index(
                fields=["image", "changed_at"],
                name="retention_last_change",
                condition=Q(changed_at__isnull=False),
            )
        ]

    def __str__(self) -> str:
        return f"{self.image_id}: {self.decision}"
