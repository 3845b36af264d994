"""Fixtures of the tests of retention: policies, old images, and what carries out their runs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from images.access import Caller
from images.jobs import kinds
from images.models import Job, RetentionPolicy, RetentionRun
from images.retention import policies, runs, undoing
from images.retention.preview import preview


@pytest.fixture
def policy(admin: Caller, db: None) -> Callable[..., RetentionPolicy]:
    """``policy(keep={"last": 2})``: the policy old, which hides at once what it does not keep."""

    def make(**values: Any) -> RetentionPolicy:
        document = {
            "name": "old",
            "scope": {"everything": True},
            "keep": {"last": 1},
            "actions": [{"hide": "0d"}],
            "max_share": 100,
        }
        return policies.create(admin, document | values)

    return make


@pytest.fixture
def run(admin: Caller) -> Callable[..., RetentionRun]:
    """``run("old")``: look at the preview of a policy, run it, and wait for the end."""

    def do(name: str = "old", reason: str = "", **options: Any) -> RetentionRun:
        if "token" not in options and not options.get("force"):
            options["token"] = preview(RetentionPolicy.objects.get(name=name)).token
        started = runs.start(admin, name, reason, **options)
        carry_out(started.job)
        return RetentionRun.objects.get(pk=started.pk)

    return do


@pytest.fixture
def undo(admin: Caller) -> Callable[..., RetentionRun]:
    """``undo(run)``: undo a run, and wait for the end."""

    def do(run: RetentionRun, reason: str = "") -> RetentionRun:
        carry_out(undoing.start(admin, run.pk, reason))
        return RetentionRun.objects.get(pk=run.pk)

    return do


def carry_out(job: Job | None) -> None:
    assert job is not None
    assert kinds.carry_out(job.pk)
    job = Job.objects.get(pk=job.pk)
    assert (job.status, job.error) == ("succeeded", "")
