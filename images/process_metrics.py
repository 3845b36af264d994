"""Numbers that the processes of a service count, for the process that answers ``/metrics``.

prometheus_client keeps the numbers of each process in files in one folder, its multiprocess mode.
Each process takes a place in the folder: a number that is a part of the names of its files. A
process that replaces another takes its place and continues with its numbers, so counters never
fall, and there are only as many files as processes. Without the folder nothing is counted.
"""

from __future__ import annotations

import fcntl
import itertools
import logging
import os
import shutil
import tempfile
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final, NamedTuple, TextIO

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    Summary,
    values,
)
from prometheus_client.core import Metric
from prometheus_client.multiprocess import MultiProcessCollector

log = logging.getLogger(__name__)

PREFIX: Final = "imagecatalog"
FOLDER: Final = "PROMETHEUS_MULTIPROC_DIR"  # prometheus_client reads this variable
FOLDER_NAME: Final = "imagecatalog-metrics-"
IN_MEMORY: Final = Path("/dev/shm")
# Bytes of each file, allocated before use: a process that writes to a file in memory for which
# there is no more memory is killed. They are enough for all values of all labels.
FILES: Final = {
    "counter": 1 << 18,
    "histogram": 1 << 20,
    "summary": 1 << 18,
    "gauge_livesum": 1 << 16,
    "gauge_livemax": 1 << 16,
}
# Seconds: requests for metadata take milliseconds, those that transfer data minutes.
BUCKETS: Final = (0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 600)
REQUEST: Final = ("interface", "method", "status")


class Description(NamedTuple):
    """The kind of a metric, its help text, and the names of its labels.

    ``mode`` says how the values of a gauge of all running processes become one: their sum, or the
    greatest of them.
    """

    kind: type[Counter] | type[Gauge] | type[Histogram] | type[Summary]
    help: str
    labels: tuple[str, ...] = ()
    mode: str = "livesum"


METRICS: Final = {
    "http_requests_total": Description(
        Counter,
        "Answered requests by interface (v1, v2, catalog, identity, admin, probe, other), "
        "method and class of the status code, such as 2xx.",
        REQUEST,
    ),
    "http_request_duration_seconds": Description(
        Histogram,
        "Time from the arrival of a request to the end of its answer, also of transfers.",
        REQUEST,
    ),
    "http_route_duration_seconds": Description(
        Summary,
        "Time from the arrival of a request to the end of its answer, by route (a path with names "
        "in place of ids) and method: the sum, and the number of requests.",
        ("method", "route"),
    ),
    "http_requests_in_progress": Description(
        Gauge, "Requests that are being answered, also by a download."
    ),
    "http_requests_waiting": Description(
        Gauge,
        "Complete requests that wait for a thread, or for their address's turn.",
    ),
    "upload_bytes_total": Description(
        Counter,
        "Bytes of image data that clients have sent, by interface (v1, v2) and by the store that "
        "gets the data, the staging store for staged data.",
        ("interface", "store"),
    ),
    "download_bytes_total": Description(
        Counter, "Bytes of image data that were sent to clients."
    ),
    "transfer_bytes_total": Description(
        Counter,
        "Bytes of image data that transfers have read, by kind and by the store that gets the "
        "data, the first one of several. Data that was uploaded in chunks counts when it is "
        "imported.",
        ("kind", "store"),
    ),
    "store_errors_total": Description(
        Counter,
        "Failures of a store, by operation (read, size, write, delete) and kind: full, missing "
        "(an object is not there) or failed.",
        ("kind", "operation", "store"),
    ),
    "sign_ins_total": Description(
        Counter,
        "Sign-ins by method (password, secret, ldap, oidc, second_factor) and result: accepted, "
        "refused, or throttled after too many attempts. A password or secret that was right in "
        "the last 5 minutes is not counted again.",
        ("method", "result"),
    ),
    "worker_rounds_total": Description(
        Counter,
        "Rounds of the background worker's duties, by duty and result: done or failed.",
        ("duty", "result"),
    ),
    "worker_round_duration_seconds": Description(
        Histogram, "Duration of a round of a duty.", ("duty",)
    ),
    "worker_last_round_timestamp_seconds": Description(
        Gauge, "When the last round of a duty ended.", ("duty",), "livemax"
    ),
    "jobs_total": Description(
        Counter,
        "Jobs that have ended, by kind and status: succeeded, failed or cancelled.",
        ("kind", "status"),
    ),
    "retention_scheduled_runs_total": Description(
        Counter,
        "Times at which the schedule of a retention policy was due, by result: started, refused "
        "by max_share, skipped because the last run was not finished, or failed. Jobs count how "
        "the started runs end.",
        ("result",),
    ),
    "component_restarts_total": Description(
        Counter,
        "Restarts of a component (web, worker) that had ended by itself.",
        ("component",),
    ),
    "verified_bytes_total": Description(
        Counter,
        "Bytes of stored data that background workers have read to verify them.",
    ),
    "client_transfers_running": Description(
        Gauge,
        "Uploads and downloads of clients, by what each of them holds: a thread, or only a "
        "connection.",
        ("holds",),
    ),
    "client_transfers_limit": Description(
        Gauge, "Uploads and downloads that can run at once.", ("holds",)
    ),
    "client_transfers_refused_total": Description(
        Counter,
        "Uploads and downloads that were refused, by the limit that was reached: all, "
        "address or project.",
        ("limit",),
    ),
    "client_transfers_ended_total": Description(
        Counter, "Uploads and downloads that were ended to make room for other clients."
    ),
    "quota_refusals_total": Description(
        Counter,
        "Requests and transfers that were refused because a project has reached a limit, by the "
        "name of the limit.",
        ("limit",),
    ),
    "database_pool_connections": Description(
        Gauge,
        "Connections of the web processes to PostgreSQL, by state: used or idle.",
        ("state",),
    ),
    "database_pool_limit": Description(
        Gauge, "Connections to PostgreSQL that the web processes can have."
    ),
    "database_pool_waiting": Description(
        Gauge, "Threads of the web processes that wait for a connection to PostgreSQL."
    ),
}

_metrics: dict[str, Any] = {}  # of this process; empty if it does not count
_place: TextIO | None = None  # open and locked as long as this process runs
_collecting = threading.Lock()


# In a process that counts


def start() -> None:
    """Let this process count metrics, if it was started within the context of `folder`.

    Otherwise, and if the folder cannot be written, nothing is counted.
    """
    global _place
    path = os.environ.get(FOLDER)
    if not path or _metrics:
        return
    try:
        _place = _free_place(Path(path))
        number = int(Path(_place.name).stem)
        for kind, size in FILES.items():
            _allocate(Path(path, f"{kind}_{number}.db"), size)
    except OSError as error:
        log.warning("this process has no metrics: %s. Free space in %s.", error, path)
        return
    values.ValueClass = values.MultiProcessValue(lambda: number)  # type: ignore[no-untyped-call]
    registry = CollectorRegistry()
    for name, metric in METRICS.items():
        options: dict[str, Any] = {}
        if metric.kind is Gauge:
            options = {"multiprocess_mode": metric.mode}
        elif metric.kind is Histogram:
            options = {"buckets": BUCKETS}
        _metrics[name] = metric.kind(
            f"{PREFIX}_{name}",
            metric.help,
            metric.labels,
            registry=registry,
            **options,
        )


def _free_place(folder: Path) -> TextIO:
    """Lock and return the first lock file ``1.lock``, ``2.lock`` … that no other process has locked.

    Its number is this process's place in the folder of the metrics.
    """
    for number in itertools.count(1):
        file = (folder / f"{number}.lock").open("w")
        if _is_free(file):
            return file
        file.close()
    raise AssertionError


def _is_free(file: TextIO) -> bool:
    """Try to lock a lock file; return False if another process has locked it, else True."""
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _allocate(path: Path, size: int) -> None:
    with path.open("ab") as file:
        os.posix_fallocate(file.fileno(), 0, size)


def count(name: str, *labels: str, by: float = 1) -> None:
    """Add ``by`` to the counter ``name``, one of METRICS; 0 only makes the metric appear.

    Does nothing if this process does not count metrics.
    """
    if _metrics:
        _child(name, labels).inc(by)


def observe(name: str, seconds: float, *labels: str) -> None:
    """Add a duration in seconds to the histogram or summary ``name``, one of METRICS.

    Does nothing if this process does not count.
    """
    if _metrics:
        _child(name, labels).observe(seconds)


def show(name: str, value: float, *labels: str) -> None:
    """Set the gauge ``name``, one of METRICS; its mode says what ``/metrics`` shows of all processes.

    Does nothing if this process does not count.
    """
    if _metrics:
        _child(name, labels).set(value)


def _child(name: str, labels: tuple[str, ...]) -> Any:
    return _metrics[name].labels(*labels) if labels else _metrics[name]


# In the process that starts the counting processes


@contextmanager
def folder(keep: bool) -> Iterator[None]:
    """Create the folder of the metrics; processes that are started within the context count.

    With ``keep``, the folder that this process had before a reload is used again. The folder is
    removed at the end of the context.
    """
    path = os.environ.get(FOLDER, "")
    if not (keep and os.path.isdir(path)):
        parent = (
            IN_MEMORY if os.access(IN_MEMORY, os.W_OK) else Path(tempfile.gettempdir())
        )
        _remove_abandoned(parent)
        path = tempfile.mkdtemp(prefix=FOLDER_NAME, dir=parent)
    os.environ[FOLDER] = path
    try:
        yield
    finally:
        os.environ.pop(FOLDER, None)
        shutil.rmtree(path, ignore_errors=True)


def _remove_abandoned(parent: Path) -> None:
    """Remove the folders of metrics in ``parent`` that killed services of the same user have left."""
    for path in parent.glob(f"{FOLDER_NAME}*"):
        if path.stat().st_uid != os.geteuid():
            continue
        # A service that starts has no places yet.
        places = list(path.glob("*.lock"))
        if places and all(map(_has_ended, places)):
            shutil.rmtree(path, ignore_errors=True)


def _has_ended(place: Path) -> bool:
    with place.open("w") as file:
        return _is_free(file)


def sums() -> Iterable[Metric]:
    """Return the metrics summed over all processes; gauges are summed over running processes only.

    Empty if there is no folder of metrics.
    """
    path = os.environ.get(FOLDER)
    if not path:
        return ()
    with _collecting:
        for place in Path(path).glob("*.lock"):
            with place.open("w") as file:
                if _is_free(file):
                    for gauges in place.parent.glob(f"gauge_live*_{place.stem}.db"):
                        gauges.unlink(missing_ok=True)
        # An empty file is just being made.
        files = [str(it) for it in Path(path).glob("*.db") if it.stat().st_size]
        metrics: Iterable[Metric] = MultiProcessCollector.merge(files)  # type: ignore[no-untyped-call]
    return metrics
