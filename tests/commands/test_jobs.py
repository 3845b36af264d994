"""The commands about jobs, and what the examination of an installation says about them."""

from __future__ import annotations

import json
from datetime import timedelta
from io import StringIO
from uuid import uuid4

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError
from django.utils import timezone

from images import job_queue
from images.access import Caller
from images.job_queue import JobKind, leases
from images.jobs import kinds
from images.management.doctor.jobs import jobs as examine
from images.models import Job, JobStatus

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def known_kind(monkeypatch: pytest.MonkeyPatch) -> None:
    kind = JobKind("test", lambda job: None, "Test")
    monkeypatch.setitem(kinds.KINDS, "test", kind)


def run(*words: str) -> str:
    out = StringIO()
    call_command(*words, stdout=out)
    return out.getvalue()


def failed(job: Job) -> Job:
    leases.claim(job, "files")
    leases.end(job, JobStatus.FAILED, "conflict", "Not now.")
    return job


def test_jobs_are_listed(member: Caller) -> None:
    ended = failed(job_queue.request("test", member))
    waiting = job_queue.request("other", member)

    first, second = run("job_list").splitlines()
    assert first.startswith(f"{waiting.pk} other waiting 0/? ")
    assert second.startswith(f"{ended.pk} test failed 0/? files ")
    assert second.endswith(" Not now.")
    assert run("job_list", "--status", "failed") == f"{second}\n"
    assert run("job_list", "--kind", "other", "--limit", "1") == f"{first}\n"
    facts = json.loads(run("job_list", "--kind", "test", "--json"))
    assert (facts["id"], facts["error"]) == (str(ended.pk), "Not now.")
    assert (facts["actor"], facts["project"]) == ("alice", "project-a")


def test_an_empty_list_says_so() -> None:
    assert run("job_list") == "There are no jobs.\n"
    assert run("job_list", "--json") == ""


def test_a_job_is_cancelled(member: Caller) -> None:
    waiting, running = [job_queue.request("test", member) for _ in range(2)]
    leases.claim(running, "")

    done = run("job_cancel", str(waiting.pk), "--reason", "not needed")

    assert done == f"Job {waiting.pk} cancelled.\n"
    assert Job.objects.get(pk=waiting.pk).error == "Cancelled: not needed"
    facts = json.loads(run("job_cancel", str(running.pk), "--json"))
    assert facts == {"id": str(running.pk), "status": "running"}
    with pytest.raises(CommandError, match="ended already: it is cancelled"):
        run("job_cancel", str(waiting.pk))
    with pytest.raises(CommandError, match="There is no job"):
        run("job_cancel", str(uuid4()))


def warnings() -> list[str]:
    return [f"{it.text} {it.advice}" for it in examine() if it.status == "warn"]


def test_the_doctor_says_which_jobs_need_a_look(member: Caller) -> None:
    waiting = job_queue.request("test", member)
    assert warnings() == []

    long_ago = timezone.now() - timedelta(minutes=16)
    Job.objects.update(created_at=long_ago)
    (warning,) = warnings()
    assert "a job has waited since" in warning
    failed(waiting)
    (warning,) = warnings()
    assert "1 job failed in the last 24 hours" in warning
    Job.objects.update(finished_at=timezone.now() - timedelta(days=2))
    job_queue.request("of-tomorrow", member)
    (warning,) = warnings()
    assert "does not know wait: of-tomorrow" in warning
