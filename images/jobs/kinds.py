"""The kinds of jobs, which the packages declare, and how a worker carries jobs of all kinds out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from images import bulk, process_metrics, retention
from images.duty import Waiting
from images.job_queue import JobKind, running
from images.models import OPEN_JOBS, JobStatus

JOBS: tuple[JobKind, ...] = (*retention.JOBS, *bulk.JOBS)
KINDS: dict[str, JobKind] = {kind.name: kind for kind in JOBS}


def show_counts() -> None:
    """Let the metrics show a count of ended jobs for each kind and status, also if none has ended.

    Prometheus notices no increase of a count that was not there before.
    """
    for kind in KINDS:
        for status in set(JobStatus) - set(OPEN_JOBS):
            process_metrics.count("jobs_total", kind, status.value, by=0)


def next_waiting(begun: Collection[UUID], busy: Collection[str]) -> Waiting | None:
    """Return the oldest job that can begin now; None if there is none.

    Jobs with the ids ``begun``, and jobs of the projects ``busy``, are skipped. A job of a kind
    that only a newer release knows waits for a worker of that release.
    """
    return running.next_waiting(begun, busy, KINDS)


def carry_out(job_id: UUID, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Carry out a waiting job of any kind; return False if the job does not wait any more.

    When ``stopping()`` becomes True, the job waits again for the next worker.
    """
    return running.carry_out(job_id, KINDS, stopping)


def label(name: str) -> str:
    """Return the label of a kind of jobs for the admin; its name if the kind is unknown here."""
    return str(KINDS[name].label) if name in KINDS else name
