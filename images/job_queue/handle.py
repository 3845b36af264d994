"""The handle with which a worker reports the progress of a job, and notices that it must end."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, Final
from uuid import UUID

from images import errors
from images.access import Caller, operator
from images.job_queue import leases
from images.models import Job
from images.transfers import heartbeat

SAVE_EVERY: Final = 1.0  # seconds, for the progress


class Cancelled(Exception):
    """Raised to end a job that somebody has cancelled; the job's function must not catch it."""


class RunningJob:
    """A job that this process carries out.

    Call ``progress`` or ``check`` at least once in half of IMAGECATALOG_LEASE_SECONDS: they are the
    heartbeat of the job. Both raise Cancelled if somebody has cancelled the job, ServerStopping if
    the worker is being stopped, and LeaseExpired if the job is no longer this worker's.
    """

    def __init__(self, job: Job, stopping: Callable[[], bool] = lambda: False) -> None:
        """Handle a job that this process has claimed.

        ``stopping()`` returns whether the worker is being stopped.
        """
        self._job, self._stopping = job, stopping
        self._save_if_due = heartbeat.every(
            min(SAVE_EVERY, heartbeat.interval()), self._save
        )

    @property
    def id(self) -> UUID:
        """The id of the job."""
        return self._job.pk

    @property
    def arguments(self) -> Mapping[str, Any]:
        """The arguments with which the job was requested."""
        arguments: Mapping[str, Any] = self._job.arguments
        return arguments

    @property
    def project(self) -> str:
        """The id of the project that can see the job; empty: only admins see it."""
        return self._job.project

    @property
    def reason(self) -> str:
        """The reason that the request for the job gave; empty without one."""
        return self._job.reason

    @property
    def attempt(self) -> int:
        """The number of this attempt to carry the job out, 1 for the first one."""
        return self._job.attempts

    @property
    def actor(self) -> Caller:
        """The caller in whose name the job acts: the user who requested it, with every permission.

        The code that requested the job must have checked whether this user is allowed to do it.
        """
        job = self._job
        caller = operator("worker")
        return replace(caller, user=job.actor, request_id=job.request_id)

    def progress(self, done: int, total: int | None = None) -> None:
        """Report that ``done`` of ``total`` units are done; None: the total is unknown.

        Saves the progress at most once a second, so it can be called for every small step.
        """
        self._job.progress_done, self._job.progress_total = done, total
        self._check_stopping()
        self._save_if_due()

    def check(self) -> None:
        """Save a heartbeat and the progress now. Raises Cancelled, ServerStopping or LeaseExpired.

        If this is called in a transaction, no other worker can take over the job before the
        transaction ends: so only one worker makes the changes of the transaction.
        """
        self._check_stopping()
        self._save()

    def _check_stopping(self) -> None:
        if self._stopping():
            raise errors.ServerStopping(
                "The worker was stopped. The job begins again with the next worker."
            )

    def _save(self) -> None:
        job = self._job
        held = leases.held(job)
        wanted = held.filter(cancel_requested_at=None)
        done, total = job.progress_done, job.progress_total
        if heartbeat.renew(wanted, progress_done=done, progress_total=total):
            return
        if held.exists():
            raise Cancelled
        raise errors.LeaseExpired("Another worker has taken the job up again.")
