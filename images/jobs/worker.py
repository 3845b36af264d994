"""The background worker: runs the declared duties, and carries out web downloads and jobs."""

from __future__ import annotations

import logging
import signal
import threading
import time

from django.db import close_old_connections, connections

from imagecatalog.identity import pruning
from images import logs, outages, pause, process_metrics
from images.access import operator
from images.bulk import drafts as bulk_drafts
from images.duty import Duty
from images.imports import queue
from images.job_queue import leases
from images.job_queue import pruning as job_pruning
from images.jobs import kinds
from images.jobs.fair_pool import FairPool
from images.lifecycle import caching, deletion
from images.operations import (
    health,
    overview,
    purge,
    scheduled_verification,
    wanted_digests,
)
from images.publishing import duties as publishing
from images.retention import scheduling as retention_scheduling
from images.transfers import heartbeat, reaper, unified_limits
from images.uploads import finishing

log = logging.getLogger(__name__)

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
POLL_SECONDS = 1.0  # between two queries for waiting web downloads and jobs
LONGEST_INTERVAL = 10.0  # seconds

REPORT = Duty("report", health.report, when_paused=True)
DUTIES: tuple[Duty, ...] = (
    *reaper.DUTIES,
    *deletion.DUTIES,
    *caching.DUTIES,
    *overview.DUTIES,
    *purge.DUTIES,
    *wanted_digests.DUTIES,
    *scheduled_verification.DUTIES,
    *finishing.DUTIES,
    *retention_scheduling.DUTIES,
    *pruning.DUTIES,
    *unified_limits.DUTIES,
    *publishing.DUTIES,
    *leases.DUTIES,
    *job_pruning.DUTIES,
    *bulk_drafts.DUTIES,
)


def default_interval() -> float:
    """Return the default period of the worker's duties in seconds.

    It is 10, or the time between two heartbeats if that is less, so that a dead transfer is noticed
    soon after its lease even if leases are short.
    """
    return min(LONGEST_INTERVAL, heartbeat.interval())


def run(interval: float, downloads: int, jobs: int) -> None:
    """Run the background worker's duties, web downloads and jobs until SIGTERM or SIGINT.

    ``interval`` is the period in seconds of duties without a period of their own; ``downloads`` and
    ``jobs`` are the numbers of concurrent web downloads and jobs.
    """
    # The signals are waited for, not handled: if two arrive together, the handler of the second
    # could wait for a lock that the handler of the first holds.
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
    logs.bind(operator("worker").log_context)
    process_metrics.start()
    kinds.show_counts()
    stop = threading.Event()
    _attempt(Duty("look for a pause", _announce_pause, when_paused=True))
    for duty in DUTIES:
        if duty.may_block:
            _repeat_in_thread(duty, interval, stop)
    pools = fetch_pool(downloads), job_pool(jobs)
    wait, due, report_due = 0.0, 0.0, 0.0
    while not signal.sigtimedwait(STOP_SIGNALS, wait):
        wait = min(POLL_SECONDS, interval)
        if time.monotonic() >= report_due and _attempt(REPORT):
            report_due = time.monotonic() + health.REPORT_SECONDS
        for pool in pools:
            _attempt(Duty(f"begin {pool.what}s", pool.begin))
        if time.monotonic() >= due:
            for duty in DUTIES:
                if not duty.may_block:
                    _attempt(duty)
            due = time.monotonic() + interval
    stop.set()
    for pool in pools:
        pool.interrupt()
    for pool in pools:
        pool.stop()


def fetch_pool(at_once: int) -> FairPool:
    """Return the threads that carry out web downloads, at most ``at_once`` at a time."""
    return FairPool("web download", at_once, queue.next_waiting, queue.carry_out)


def job_pool(at_once: int) -> FairPool:
    """Return the threads that carry out jobs, at most ``at_once`` at a time."""
    return FairPool("job", at_once, kinds.next_waiting, kinds.carry_out)


def _announce_pause() -> None:
    if paused := pause.current():
        log.warning(
            "the background workers are paused, until worker_resume: %s",
            paused["reason"],
        )


def _repeat_in_thread(duty: Duty, interval: float, stop: threading.Event) -> None:
    # A daemon thread: a duty that is killed with the process is repeated by the next worker.
    def repeat() -> None:
        logs.bind(operator("worker").log_context)
        while not stop.is_set():
            _attempt(duty)
            stop.wait(duty.period or interval)
        connections.close_all()

    threading.Thread(target=repeat, daemon=True).start()


def _attempt(duty: Duty) -> bool:
    """Run a duty once, and count the run in the metrics; return False if the duty has failed.

    While the workers are paused, only duties with ``when_paused`` run. An error is logged, so that
    it does not end the other duties.
    """
    began = time.monotonic()
    try:
        close_old_connections()
        if not duty.when_paused and pause.current():
            return True
        duty.run()
    except Exception as error:
        message = "duty %r failed; it is tried again at its next period"
        outages.report(error, log, message, duty.name)
        _count(duty, "failed", began)
        return False
    outages.record_success()
    _count(duty, "done", began)
    return True


def _count(duty: Duty, result: str, began: float) -> None:
    """Count a run of a duty in the metrics, with its duration.

    ``result`` is ``done`` or ``failed``. ``began`` is the monotonic time, in seconds, at which the
    run began.
    """
    for each in ("done", "failed"):  # both are shown from the first round on
        process_metrics.count("worker_rounds_total", duty.name, each, by=each == result)
    seconds = time.monotonic() - began
    process_metrics.observe("worker_round_duration_seconds", seconds, duty.name)
    process_metrics.show("worker_last_round_timestamp_seconds", time.time(), duty.name)
