"""Whether the service works: its database answers, and a background worker has reported.

A worker that hangs, has ended or cannot write to the database does not report.
"""

from __future__ import annotations

import os
import threading
from typing import Final

from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, Error, connections
from django.db.models import Exists
from django.utils import timezone

from images import outages
from images.models import WorkerPause, WorkerReport
from images.operations.shared_check import SharedCheck

MAINTENANCE: Final = "maintenance"  # a file in the data folder
REPORT_SECONDS: Final = 5.0  # between two reports of a worker
SILENCE_SECONDS: Final = 20.0  # without a report: then no worker counts as running
ANSWER_SECONDS: Final = 0.8  # that a caller waits for the database
FRESH_SECONDS: Final = 1.0  # that a result is used again

SILENT: Final = "The database does not answer."
STOPPING: Final = "The service is being stopped."
UNDER_MAINTENANCE: Final = "This machine is under maintenance."
NO_WORKER: Final = (
    f"No background worker has reported in the last {SILENCE_SECONDS:.0f} seconds. Start one, or "
    "look into its log."
)


def report() -> None:
    """Save the present time as the time at which a background worker last reported."""
    WorkerReport.objects.update_or_create(
        pk=1, defaults={"reported_at": timezone.now()}
    )


def is_taken_out() -> bool:
    """Return whether the file ``maintenance`` in the data folder takes this machine out of service."""
    return os.path.exists(settings.IMAGECATALOG_DATA_DIR / MAINTENANCE)


def announce_stop() -> None:
    """Let ``problem`` report from now on that the service is being stopped.

    So load balancers send clients elsewhere.
    """
    _stopping.set()


def problem() -> str | None:
    """Return as a sentence why the service does not work; None if it works.

    Takes less than a second. However many callers there are, each process asks the database
    only once at a time.
    """
    if _stopping.is_set():
        return STOPPING
    try:
        return _check.result(ANSWER_SECONDS)
    except TimeoutError:
        return SILENT


def _look() -> str | None:
    try:
        leave_pool()
        has_worker = worker_reports()
    except Error as error:
        outages.record(error)
        return outages.sentence(error)
    finally:
        connections.close_all()
    outages.record_success()
    return None if has_worker else NO_WORKER


def worker_reports() -> bool:
    """Return whether a background worker has reported in the last 20 seconds.

    The database is asked now, however long it takes. Raises django.db.Error if it fails.
    """
    report = WorkerReport.objects.filter(pk=1).first()
    return report is not None and _is_recent(report)


def worker_state() -> str:
    """Return whether background workers are ``running``, ``paused`` or ``silent``. One query.

    Raises django.db.Error if the database fails.
    """
    paused = Exists(WorkerPause.objects.all())
    report = WorkerReport.objects.filter(pk=1).annotate(is_paused=paused).first()
    if report is None or not _is_recent(report):
        return "silent"
    return "paused" if report.is_paused else "running"


def _is_recent(report: WorkerReport) -> bool:
    age = (timezone.now() - report.reported_at).total_seconds()
    return age < SILENCE_SECONDS


def leave_pool() -> None:
    """Give this thread its own database connection, so that it never waits for the pool.

    The caller closes the connection.
    """
    connection = connections.create_connection(DEFAULT_DB_ALIAS)
    options = connection.settings_dict["OPTIONS"]
    own = {name: value for name, value in options.items() if name != "pool"}
    connection.settings_dict = {**connection.settings_dict, "OPTIONS": own}
    connections[DEFAULT_DB_ALIAS] = connection


_stopping = threading.Event()
_check = SharedCheck(_look, "health", FRESH_SECONDS)
