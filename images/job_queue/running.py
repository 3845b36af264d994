"""Carry out jobs that wait for a background worker."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Mapping
from typing import Final
from uuid import UUID

from images import db, errors, logs, outages
from images.duty import Waiting
from images.job_queue import leases
from images.job_queue.handle import Cancelled, RunningJob
from images.job_queue.kind import JobKind
from images.models import Job, JobStatus

log = logging.getLogger(__name__)

# Exactly these classes: what their subclasses mean, such as DataMissing, does not pass by itself.
TEMPORARY: Final = (errors.StoreError, errors.StoreFull, errors.LimitsUnknown)


def next_waiting(
    begun: Collection[UUID], busy: Collection[str], kinds: Collection[str]
) -> Waiting | None:
    """Return the oldest job of one of these ``kinds`` that can begin now; None if there is none.

    Jobs with the ids ``begun``, and jobs of the projects ``busy``, are skipped. One query.
    """
    due = Job.objects.due().filter(kind__in=kinds).exclude(pk__in=begun)
    oldest = due.exclude(project__in=busy).order_by("created_at")
    row = oldest.values_list("pk", "project").first()
    return row and Waiting._make(row)


def carry_out(
    job_id: UUID,
    kinds: Mapping[str, JobKind],
    stopping: Callable[[], bool] = lambda: False,
) -> bool:
    """Carry out a waiting job, and store its result or its failure in its row.

    Returns False if the job does not wait any more, for example because another worker has begun
    it. When ``stopping()`` becomes True, the job waits again for the next worker.
    """
    job = Job.objects.get(pk=job_id)
    kind = kinds[job.kind]
    running = RunningJob(job, stopping)
    logs.bind(running.actor.log_context)
    if not leases.claim(job, kind.unit):
        return False
    db.release_connection()
    try:
        leases.end(job, JobStatus.SUCCEEDED, result=kind.run(running))
    except Cancelled:
        leases.end(job, JobStatus.CANCELLED)
    except errors.ServerStopping as error:
        leases.give_back(job, error, failed=False)
    except errors.ImageError as error:
        if type(error) in TEMPORARY:
            log.warning("job %s: %s", job.pk, error.with_cause())
            leases.give_back(job, error, failed=True)
        else:
            leases.end(job, JobStatus.FAILED, error.code, str(error))
    except Exception as error:
        outages.report(error, log, "job %s of the kind %s failed", job.pk, job.kind)
        if outages.is_outage(error):
            outage = errors.StoreError(outages.sentence(error))
            leases.give_back(job, outage, failed=True)
        else:
            leases.end(job, JobStatus.FAILED, leases.INTERNAL, errors.SERVICE_FAILED)
    return True
