"""The kinds of jobs, which the packages declare, and the threads that carry jobs out."""

from __future__ import annotations

from collections.abc import Callable, Collection
from uuid import UUID

from images.duty import Waiting
from images.job_queue import JobKind, running

JOBS: tuple[JobKind, ...] = ()
KINDS: dict[str, JobKind] = {kind.name: kind for kind in JOBS}


def next_waiting(begun: Collection[UUID], busy: Collection[str]) -> Waiting | None:
    """Return the oldest job that can begin now, except those ``begun`` and of the projects ``busy``.

    A job of a kind that only a newer release knows waits for a worker of that release.
    """
    return running.next_waiting(begun, busy, KINDS)


def carry_out(job_id: UUID, stopping: Callable[[], bool] = lambda: False) -> bool:
    """Carry out a waiting job of any kind; see ``images.job_queue.running``."""
    return running.carry_out(job_id, KINDS, stopping)
