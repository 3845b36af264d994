"""Jobs: requested with a change, carried out once, cancelled, tried again, removed."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import pytest
from django.db import OperationalError, transaction
from django.utils import timezone

from images import errors, job_queue, logs
from images.access import Caller
from images.job_queue import RunningJob, leases, pruning
from images.jobs import kinds
from images.models import Job, JobStatus
from images.transfers import heartbeat

pytestmark = pytest.mark.django_db

Be = Callable[[Callable[[RunningJob], Any]], None]


def read(job: Job) -> Job:
    return Job.objects.get(pk=job.pk)


def outcome(job: Job) -> tuple[str, str]:
    row = read(job)
    return row.status, row.error_code


def carry_out(job: Job) -> Job:
    assert kinds.carry_out(job.pk)
    return read(job)


# Requests


def test_a_job_knows_who_caused_it_and_what_it_did(work: Be, member: Caller) -> None:
    def count(job: RunningJob) -> dict[str, object]:
        for step in range(3):
            job.progress(step + 1, 3)
        caller = job.actor
        return {"user": caller.user, "at": caller.interface, "of": job.arguments["of"]}

    work(count)
    job = job_queue.request("test", member, reason="why", arguments={"of": 7})

    done = carry_out(job)

    assert done.status == JobStatus.SUCCEEDED
    assert done.result == {"user": "alice", "at": "worker", "of": 7}
    progress = done.progress_done, done.progress_total, done.progress_unit
    assert progress == (3, 3, "steps")
    facts = done.actor, done.project, done.interface, done.reason
    assert facts == ("alice", member.project, "test", "why")
    assert done.started_at
    assert done.finished_at


def test_a_change_that_is_rolled_back_leaves_no_job(member: Caller) -> None:
    with transaction.atomic():
        job_queue.request("test", member, key="a")
        transaction.set_rollback(True)

    assert not Job.objects.exists()


def test_waiting_jobs_of_one_key_are_one_job(work: Be, member: Caller) -> None:
    first = job_queue.request("test", member, key="a", reason="first")

    assert job_queue.request("test", member, key="a", reason="second") == first
    assert read(first).reason == "first"
    assert job_queue.request("test", member, key="b") != first
    assert job_queue.request("other", member, key="a") != first
    assert job_queue.request("test", member) != job_queue.request("test", member)


def test_what_is_requested_during_a_job_is_done_by_the_next_one(
    work: Be, member: Caller
) -> None:
    later: list[Job] = []

    def ask_again(job: RunningJob) -> None:
        later.append(job_queue.request("test", member, key="a"))
        assert kinds.next_waiting([], []) is None, "two of one key at a time"
        assert not kinds.carry_out(later[0].pk), "two of one key at a time"

    work(ask_again)
    first = job_queue.request("test", member, key="a")
    carry_out(first)
    work(lambda job: None)

    assert later[0] != first
    assert kinds.next_waiting([], []) == (later[0].pk, member.project)
    assert carry_out(later[0]).status == JobStatus.SUCCEEDED


def test_a_job_of_a_newer_release_waits_for_a_worker_that_knows_it(
    member: Caller,
) -> None:
    job_queue.request("of-tomorrow", member)

    assert kinds.next_waiting([], []) is None


def test_the_next_job_is_the_oldest_of_projects_that_are_not_busy(
    work: Be, member: Caller, stranger: Caller
) -> None:
    own = [job_queue.request("test", member) for _ in range(2)]
    other = job_queue.request("test", stranger)

    assert kinds.next_waiting([], []) == (own[0].pk, member.project)
    assert kinds.next_waiting([own[0].pk], []) == (own[1].pk, member.project)
    busy = [str(member.project)]
    assert kinds.next_waiting([], busy) == (other.pk, stranger.project)


def test_a_request_and_the_choice_of_the_next_job_need_few_queries(
    work: Be, member: Caller, django_assert_num_queries: Any
) -> None:
    for number in range(20):
        job_queue.request("test", member, key=str(number))
    with django_assert_num_queries(4):  # with the savepoint
        job_queue.request("test", member, key="7")
    with django_assert_num_queries(1):
        kinds.next_waiting([], [])


# Failures


@pytest.mark.parametrize(
    ("error", "code", "message"),
    [
        (errors.Conflict("Not now."), "conflict", "Not now."),
        (errors.DataDamaged("It is damaged."), "damaged", "It is damaged."),
        (ValueError("secret"), "internal-error", "The service failed"),
    ],
)
def test_a_job_that_fails_says_why(
    error: Exception, code: str, message: str, work: Be, member: Caller
) -> None:
    def fail(job: RunningJob) -> None:
        raise error

    work(fail)
    failed = carry_out(job_queue.request("test", member))

    assert (failed.status, failed.error_code) == (JobStatus.FAILED, code)
    assert failed.error.startswith(message)


def test_a_result_that_is_no_json_is_a_failure(work: Be, member: Caller) -> None:
    work(lambda job: {"a": object()})

    job = job_queue.request("test", member)
    carry_out(job)

    assert outcome(job) == ("failed", "internal-error")


@pytest.mark.parametrize(
    "error", [errors.StoreError("The store is away."), OperationalError("away")]
)
def test_after_a_failure_that_passes_a_job_waits_longer_each_time_but_not_forever(
    error: Exception, work: Be, member: Caller
) -> None:
    def fail(job: RunningJob) -> None:
        raise error

    work(fail)
    job = job_queue.request("test", member)
    delays = []
    for _ in range(leases.MOST_FAILURES - 1):
        waiting = carry_out(job)
        assert (waiting.status, waiting.error_code) == ("waiting", "store-error")
        assert waiting.not_before
        assert kinds.next_waiting([], []) is None
        delays.append(round((waiting.not_before - timezone.now()).total_seconds()))
        Job.objects.update(not_before=timezone.now())

    ended = carry_out(job)

    assert delays == [15, 30, 60, 120]
    assert (ended.status, ended.error_code) == ("failed", "store-error")
    assert "The job was tried 5 times without progress." in ended.error


def test_failures_count_from_the_attempt_that_came_furthest(
    work: Be, member: Caller
) -> None:
    job = job_queue.request("test", member)

    def outcome_of(done: int) -> str:
        """The status of the job after an attempt that fails with ``done`` steps done."""

        def fail(running: RunningJob) -> None:
            running.progress(done, 100)
            raise errors.StoreError("The store is away.")

        work(fail)
        Job.objects.update(not_before=None)
        return carry_out(job).status

    # From 1 to 20 each comes further than all before; afterwards none does.
    assert {outcome_of(done) for done in range(1, 21)} == {"waiting"}
    assert [outcome_of(done) for done in (20, 5, 20, 19)] == [
        "waiting",
        "waiting",
        "waiting",
        "failed",
    ]


def test_a_worker_that_dies_after_progress_does_not_count_as_another_failure(
    member: Caller,
) -> None:
    job = job_queue.request("test", member)
    for done in range(1, 2 * leases.MOST_FAILURES):
        again = read(job)
        assert leases.claim(again, "steps")
        RunningJob(again).progress(done)
        Job.objects.filter(pk=job.pk).update(progress_done=done)
        silence(job)
        leases.take_up_dead()

    assert (read(job).status, read(job).failed_attempts) == ("waiting", 1)


# Workers that end


def silence(job: Job) -> None:
    """Let the heartbeat of a job be older than a lease."""
    Job.objects.filter(pk=job.pk).update(heartbeat_at="2000-01-01T00:00:00Z")


def begun(member: Caller, **request: Any) -> Job:
    """A job that this process has claimed."""
    job = job_queue.request("test", member, **request)
    assert leases.claim(job, "steps")
    return job


def test_a_job_without_heartbeats_is_taken_up_again_and_no_longer_its_first_workers(
    work: Be, member: Caller
) -> None:
    job = begun(member)
    late = RunningJob(job)
    assert leases.take_up_dead() == 0

    silence(job)
    assert leases.take_up_dead() == 1
    with pytest.raises(errors.LeaseExpired):
        late.check()
    work(lambda again: {"attempt": again.attempt})
    done = carry_out(job)
    assert not leases.end(job, JobStatus.FAILED, "late", "Too late.")

    assert (done.status, done.result) == (JobStatus.SUCCEEDED, {"attempt": 2})
    assert read(job).status == JobStatus.SUCCEEDED


def test_a_job_that_kills_its_workers_ends_as_failed(member: Caller) -> None:
    job = job_queue.request("test", member)
    for _ in range(leases.MOST_FAILURES):
        assert leases.claim(read(job), "steps")
        silence(job)
        leases.take_up_dead()

    assert outcome(job) == ("failed", "lease-expired")
    assert read(job).error.startswith("The worker died")


def test_a_stopped_worker_gives_its_job_back_at_once(work: Be, member: Caller) -> None:
    stopping: list[int] = []

    def stop(job: RunningJob) -> None:
        stopping.append(1)
        job.progress(1)

    work(stop)
    job = job_queue.request("test", member)
    assert kinds.carry_out(job.pk, lambda: bool(stopping))

    assert outcome(job) == ("waiting", "server-stopping")
    assert read(job).failed_attempts == 0
    assert kinds.next_waiting([], []) == (job.pk, member.project)


def test_an_interrupted_job_is_left_to_the_one_that_was_requested_since(
    member: Caller,
) -> None:
    job = begun(member, key="a")
    later = job_queue.request("test", member, key="a")
    silence(job)

    leases.take_up_dead()

    assert outcome(job) == ("cancelled", "merged")
    assert outcome(later) == ("waiting", "")


# Cancellation


def test_a_waiting_job_is_cancelled_at_once(work: Be, member: Caller) -> None:
    job = job_queue.request("test", member)

    job_queue.cancel(job.pk, member, "not needed")

    assert outcome(job) == ("cancelled", "cancelled")
    assert read(job).error == "Cancelled by alice: not needed"
    assert not kinds.carry_out(job.pk)


def test_a_running_job_is_cancelled_when_it_next_reports_progress(
    work: Be, member: Caller
) -> None:
    seen: list[bool] = []

    def be_cancelled(job: RunningJob) -> None:
        job_queue.cancel(job.id, member, "enough")
        seen.append(Job.objects.get(pk=job.id).is_cancelling)
        job.check()
        seen.append(False)

    work(be_cancelled)
    job = job_queue.request("test", member)
    cancelled = carry_out(job)

    assert seen == [True]
    assert (cancelled.status, cancelled.error_code) == ("cancelled", "cancelled")
    assert cancelled.error == "Cancelled by alice: enough"


def test_the_progress_is_saved_and_a_cancellation_seen_within_a_second(
    work: Be, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]
    clock = SimpleNamespace(monotonic=lambda: now[0])
    monkeypatch.setattr(heartbeat, "time", clock)
    saved: list[int] = []

    def count(job: RunningJob) -> None:
        for step in range(100):
            now[0] += 0.1
            job.progress(step)
            if step == 50:
                saved.append(Job.objects.get(pk=job.id).progress_done)
                job_queue.cancel(job.id, member)

    work(count)
    cancelled = carry_out(job_queue.request("test", member))

    assert 40 <= saved[0] <= 50
    assert cancelled.status == "cancelled"
    assert cancelled.progress_done <= 61


def test_a_cancelled_job_of_a_dead_worker_is_not_taken_up_again(member: Caller) -> None:
    job = begun(member)
    job_queue.cancel(job.pk, member)
    silence(job)

    leases.take_up_dead()

    assert outcome(job) == ("cancelled", "cancelled")


def test_a_job_that_has_ended_cannot_be_cancelled(work: Be, member: Caller) -> None:
    job = job_queue.request("test", member)
    carry_out(job)

    with pytest.raises(errors.Conflict, match="succeeded"):
        job_queue.cancel(job.pk, member)

    assert outcome(job) == ("succeeded", "")


def test_only_who_may_cancels_a_job_and_others_do_not_see_it(
    member: Caller, reader: Caller, stranger: Caller, admin: Caller
) -> None:
    job = job_queue.request("test", member)

    with pytest.raises(errors.Forbidden):
        job_queue.cancel(job.pk, reader)
    with pytest.raises(errors.NotFound):
        job_queue.cancel(job.pk, stranger)
    with pytest.raises(errors.NotFound):
        job_queue.cancel(uuid4(), admin)
    assert outcome(job) == ("waiting", "")
    job_queue.cancel(job.pk, admin)
    assert outcome(job) == ("cancelled", "cancelled")


# The database, the log, and old jobs


def test_a_heartbeat_that_the_database_refuses_ends_no_job(
    work: Be, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def beat_in_an_outage(job: RunningJob) -> None:
        def fail(*args: object, **columns: object) -> int:
            raise OperationalError("away")

        with monkeypatch.context() as patch:
            patch.setattr("django.db.models.QuerySet.update", fail)
            job.check()

    work(beat_in_an_outage)

    assert carry_out(job_queue.request("test", member)).status == "succeeded"


def test_the_end_of_a_job_is_in_the_log(
    work: Be, member: Caller, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "images")

    def fail(job: RunningJob) -> None:
        raise errors.Conflict("Not now.")

    work(fail)
    job = job_queue.request("test", member)
    carry_out(job)

    lines = [logs.TextFormatter().format(it) for it in caplog.records]
    assert any(
        f'job={job.pk} kind=test to=failed reason="Not now."' in it for it in lines
    )


def test_jobs_that_end_are_counted(work: Be, member: Caller, counts: Any) -> None:
    kinds.show_counts()
    carry_out(job_queue.request("test", member))

    found = counts()
    assert found["jobs_total", "test", "succeeded"] == 1
    assert found["jobs_total", "test", "failed"] == 0


def test_jobs_are_removed_once_they_ended_long_ago(
    work: Be, member: Caller, settings: Any
) -> None:
    settings.IMAGECATALOG_JOB_TIME_TO_LIVE = 3600
    old, fresh, waiting = [job_queue.request("test", member) for _ in range(3)]
    for job in (old, fresh):
        carry_out(job)
    long_ago = timezone.now() - timedelta(seconds=3601)
    Job.objects.filter(pk=old.pk).update(finished_at=long_ago)
    Job.objects.update(created_at=long_ago)

    assert pruning.prune() == 1

    assert set(Job.objects.values_list("pk", flat=True)) == {fresh.pk, waiting.pk}
