"""``/catalog/v1/jobs``: long work, its progress and its cancellation."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from images import job_queue
from images.access import Caller
from images.job_queue import leases
from images.models import Job, JobStatus

JOBS = "/catalog/v1/jobs"
UNKNOWN = "0b9d8a4e-3f0c-4c5e-9d53-3a1d6a0c7a11"


@pytest.fixture
def request_job(db: None, member: Caller) -> Callable[..., Job]:
    """``request_job(kind="publication")``: a waiting job, by default of the members' project."""

    def make(kind: str = "test", actor: Caller = member, **more: Any) -> Job:
        return job_queue.request(kind, actor, **more)

    return make


def listed(client: Any, query: str = "") -> list[str]:
    return [it["id"] for it in client.get(f"{JOBS}{query}").json()["jobs"]]


def test_the_features_name_jobs(api: Any) -> None:
    assert api.reader.get("/catalog/v1").json()["features"]["jobs"] is True


def test_a_waiting_job_is_shown(api: Any, request_job: Any) -> None:
    job = request_job(reason="why", arguments={"of": 7})

    shown = api.reader.get(f"{JOBS}/{job.pk}").json()

    assert shown.pop("created_at").endswith("Z")
    assert shown == {
        "id": str(job.pk),
        "kind": "test",
        "status": "waiting",
        "progress": {"done": 0, "total": None, "unit": ""},
        "project": "project-a",
        "attempts": 0,
        "actor": "alice",
        "interface": "test",
        "request_id": "",
        "reason": "why",
        "started_at": None,
        "heartbeat_at": None,
        "finished_at": None,
        "cancelling": False,
        "error": None,
        "arguments": {"of": 7},
        "result": None,
    }


def test_a_job_that_has_failed_says_why(api: Any, request_job: Any) -> None:
    job = request_job()
    leases.claim(job, "files")
    job.progress_done, job.progress_total = 3, 9
    leases.end(job, JobStatus.FAILED, "conflict", "Not now.")

    shown = api.reader.get(f"{JOBS}/{job.pk}").json()

    assert shown["status"] == "failed"
    assert shown["progress"] == {"done": 3, "total": 9, "unit": "files"}
    assert shown["error"] == {"code": "conflict", "message": "Not now."}
    assert all(shown[it] for it in ("started_at", "heartbeat_at", "finished_at"))


def test_each_project_sees_its_own_jobs_and_admins_all(
    api: Any, request_job: Any, stranger: Caller
) -> None:
    own, foreign = request_job(), request_job(actor=stranger)
    of_nobody = request_job(project="")

    assert listed(api.member) == listed(api.reader) == [str(own.pk)]
    assert listed(api.stranger) == [str(foreign.pk)]
    everything = [str(it.pk) for it in (of_nobody, foreign, own)]
    assert listed(api.admin) == everything
    for job in (foreign, of_nobody):
        answer = api.member.get(f"{JOBS}/{job.pk}")
        assert answer.status_code == 404
        assert "no job" in answer.content.decode()
        assert api.admin.get(f"{JOBS}/{job.pk}").status_code == 200


@pytest.mark.parametrize(
    "path", [f"{JOBS}/nonsense", f"{JOBS}/{UNKNOWN}", f"{JOBS}?marker=nonsense"]
)
def test_what_is_no_job_is_not_found(api: Any, path: str) -> None:
    assert api.admin.get(path).status_code == 404


def test_the_list_is_filtered_and_paged(api: Any, request_job: Any) -> None:
    jobs = [str(request_job(kind).pk) for kind in ("test", "other", "test", "test")]
    job_queue.cancel(Job.objects.get(pk=jobs[3]).pk, api._callers["member"])

    assert listed(api.member, "?kind=test&status=waiting") == [jobs[2], jobs[0]]
    assert listed(api.member, "?status=cancelled") == [jobs[3]]
    assert api.member.get(f"{JOBS}?status=odd").status_code == 400
    seen, path = [], f"{JOBS}?limit=3"
    while path:
        page = api.member.get(path).json()
        seen += [it["id"] for it in page["jobs"]]
        path = page.get("next", "")
    assert seen == jobs[::-1]
    assert "arguments" not in page["jobs"][0]


def test_a_job_is_cancelled(api: Any, request_job: Any) -> None:
    job = request_job()
    path = f"{JOBS}/{job.pk}"

    assert api.reader.delete(path).status_code == 403
    assert api.stranger.delete(path).status_code == 404
    answer = api.member.delete(path, headers={"X-Reason": "not needed"})
    assert (answer.status_code, answer.content) == (204, b"")
    shown = api.member.get(path).json()
    assert shown["status"] == "cancelled"
    assert shown["error"]["message"] == "Cancelled by alice: not needed"
    again = api.member.delete(path)
    assert again.status_code == 409
    assert "it is cancelled" in again.content.decode()


def test_a_running_job_is_being_cancelled(api: Any, request_job: Any) -> None:
    job = request_job()
    leases.claim(job, "")

    assert api.admin.delete(f"{JOBS}/{job.pk}").status_code == 204

    shown = api.member.get(f"{JOBS}/{job.pk}").json()
    assert (shown["status"], shown["cancelling"]) == ("running", True)


def test_a_policy_file_can_hide_jobs(api: Any, request_job: Any, policy: Any) -> None:
    hidden, shown = request_job("secret"), request_job("open")
    policy('"get_job": "\'open\':%(name)s"')

    assert listed(api.member) == [str(shown.pk)]
    assert listed(api.member, "?limit=1&kind=secret") == []
    assert api.member.get(f"{JOBS}/{hidden.pk}").status_code == 404
    assert api.member.delete(f"{JOBS}/{hidden.pk}").status_code == 404
    assert api.member.delete(f"{JOBS}/{shown.pk}").status_code == 204


def test_the_list_asks_as_often_for_many_as_for_few(api: Any, request_job: Any) -> None:
    counts = []
    for number in (1, 20):
        for _ in range(number):
            request_job()
        api.member.get(JOBS)
        with CaptureQueriesContext(connection) as queries:
            api.member.get(JOBS)
        counts.append(len(queries))

    assert counts[0] == counts[1]
