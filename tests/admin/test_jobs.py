"""The pages of jobs: what waits, runs and has ended, and its cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext

from images import job_queue
from images.access import Caller
from images.job_queue import JobKind, leases
from images.jobs import kinds
from images.models import Job, JobStatus

JOBS = "/admin/images/job/"


@pytest.fixture
def make(
    db: None, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Job]:
    """``make("running", reason="why")``: a job of the kind "test" with this status."""
    kind = JobKind("test", lambda job: None, "Test of <jobs>", unit="files")
    monkeypatch.setitem(kinds.KINDS, "test", kind)

    def make(status: str = "waiting", name: str = "test", **fields: Any) -> Job:
        job = job_queue.request(name, member, reason=f"reason of {status}")
        if status != "waiting":
            leases.claim(job, "files")
        if status not in ("waiting", "running"):
            leases.end(job, JobStatus(status), "conflict", "Not <now>.", {"a": "b"})
        Job.objects.filter(pk=job.pk).update(**fields)
        return job

    return make


def shown(client: Client, query: str = "") -> set[str]:
    """The ids of the jobs that the list shows."""
    rows = client.get(f"{JOBS}{query}").context["cl"].result_list
    return {str(it.pk) for it in rows}


def test_the_list_is_filtered(root: Client, make: Callable[..., Job]) -> None:
    jobs = {status: str(make(status).pk) for status in JobStatus.values}
    other = str(make(name="other").pk)

    assert shown(root) == {*jobs.values(), other}
    assert shown(root, "?status__exact=failed") == {jobs["failed"]}
    assert shown(root, "?kind=test&status__exact=waiting") == {jobs["waiting"]}
    assert shown(root, f"?q={other[:13]}") == {other}
    assert shown(root, "?q=alice") == {*jobs.values(), other}
    assert (
        root.get(f"{JOBS}?status__exact=odd&kind=odd", follow=True).status_code == 200
    )


def test_the_list_and_the_page_show_how_far_a_job_is(
    root: Client, make: Callable[..., Job]
) -> None:
    job = make("running", progress_done=1, progress_total=4)

    for path in (JOBS, f"{JOBS}{job.pk}/change/"):
        page = root.get(path).content.decode()
        assert "Test of &lt;jobs&gt;" in page
        assert "1 of 4 files" in page
        assert 'value="25"' in page


def test_the_page_of_a_job_tells_why_it_failed(
    root: Client, make: Callable[..., Job]
) -> None:
    page = root.get(f"{JOBS}{make('failed').pk}/change/").content.decode()

    assert "Not &lt;now&gt;." in page
    assert "reason of failed" in page
    assert "Cancel job" not in page
    assert 'name="_save"' not in page


def test_the_poll_tells_which_jobs_moved(
    root: Client, make: Callable[..., Job]
) -> None:
    job = make("running", progress_done=1, progress_total=4)
    path = f"{JOBS}live/?ids={job.pk},nonsense"
    state = root.get(JOBS).context["cl"].state

    before = root.get(path).json()
    leases.end(job, JobStatus.SUCCEEDED)
    after = root.get(path).json()

    assert before["state"] == state != after["state"]
    assert [(it["percent"], it["words"]) for it in before["jobs"]] == [
        (25, "1 of 4 files")
    ]
    assert after["jobs"] == []


def test_a_job_is_cancelled_with_a_reason(
    signed_in: Callable[..., Client], make: Callable[..., Job]
) -> None:
    client, job = signed_in("operator"), make()
    path = f"{JOBS}{job.pk}/cancel/"
    assert path in client.get(f"{JOBS}{job.pk}/change/").content.decode()

    client.post(path, {"reason": ""})
    assert Job.objects.get().status == "waiting"
    page = client.post(path, {"reason": "not needed"}, follow=True).content.decode()
    assert "The job was cancelled." in page
    assert Job.objects.get().error == "Cancelled by operator: not needed"
    again = client.post(path, {"reason": "again"}, follow=True).content.decode()
    assert "The job has ended already" in again
    assert client.get(f"{JOBS}{uuid4()}/cancel/").status_code == 404


def test_a_running_job_ends_when_its_worker_notices(
    root: Client, make: Callable[..., Job]
) -> None:
    job = make("running")

    page = root.post(f"{JOBS}{job.pk}/cancel/", {"reason": "enough"}, follow=True)

    assert "as soon as its worker notices" in page.content.decode()
    assert "is being cancelled" in page.content.decode()


def test_a_viewer_sees_jobs_and_cancels_none(
    signed_in: Callable[..., Client], make: Callable[..., Job]
) -> None:
    client, job = signed_in("viewer"), make()

    assert shown(client) == {str(job.pk)}
    page = client.get(f"{JOBS}{job.pk}/change/").content.decode()
    assert "/cancel/" not in page
    refused = client.post(f"{JOBS}{job.pk}/cancel/", {"reason": "why"})
    assert refused.status_code == 403
    for path in ("add/", f"{job.pk}/delete/", f"{job.pk}/history/"):
        assert client.get(f"{JOBS}{path}").status_code in (302, 404)
    assert Job.objects.get().status == "waiting"


def test_the_list_asks_as_often_for_many_as_for_few(
    root: Client, make: Callable[..., Job]
) -> None:
    counts = []
    for number in (2, 20):
        for _ in range(number):
            make("running")
        root.get(JOBS)
        with CaptureQueriesContext(connection) as queries:
            root.get(JOBS)
        counts.append(len(queries))

    assert counts[0] == counts[1]


def test_the_list_does_not_read_the_long_columns_of_jobs(
    root: Client, make: Callable[..., Job]
) -> None:
    make("succeeded")

    (job,) = root.get(JOBS).context["cl"].result_list

    assert job.get_deferred_fields() == {"arguments", "result"}
