"""The metrics of the catalogue, in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from django.conf import settings
from django.db import Error
from django.db.models import Count
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily, Metric

from images import errors, lifecycle, outages, pause, process_metrics, stores
from images.job_queue import statistics
from images.models import (
    OPEN_STATUSES,
    BackupReport,
    Image,
    ImageLocation,
    Transfer,
    TransferStatus,
    WorkerReport,
)
from images.operations import overview, scheduled_verification
from images.stores.local import LocalStore
from images.transfers import limits, reaper


class Description(NamedTuple):
    """The help text of a metric, and the name of its label if it has one."""

    help: str
    label: str = ""


METRICS = {
    "info": Description("The running release.", "version"),
    "component_up": Description(
        "1 if the component of this machine (web, database, worker, store) works, else 0.",
        "component",
    ),
    "certificate_expiry_timestamp_seconds": Description(
        "When the certificate of `serve --certfile`, or one of its chain, expires. Missing without "
        "TLS."
    ),
    "images": Description("Images by status.", "status"),
    "images_stuck": Description(
        "Images in a transient status without a live transfer."
    ),
    "images_failed_24h": Description(
        "Images without data whose transfer failed in the last 24 hours."
    ),
    "images_damaged": Description(
        "Images with a copy that was damaged when it was last read."
    ),
    "copies_damaged": Description(
        "Copies in a store that were damaged when they were last read.", "store"
    ),
    "verification_oldest_timestamp_seconds": Description(
        "When the copy with the oldest verification was verified or, if it never was, stored. "
        "Missing without copies."
    ),
    "trash_images": Description("Images in the trash."),
    "trash_bytes": Description("Bytes of the images in the trash."),
    "trash_next_scrub_timestamp_seconds": Description(
        "When the oldest image in the trash is deleted permanently."
    ),
    "store_objects": Description("Objects that images have in a store.", "store"),
    "store_bytes": Description("Bytes that images have in a store.", "store"),
    "store_free_bytes": Description(
        "Free bytes on the disk of a store in a folder.", "store"
    ),
    "transfers_running": Description("Transfers that run or wait.", "kind"),
    "transfers_waiting": Description(
        "Those of them that wait for a background worker.", "kind"
    ),
    "transfers_to_remove": Description(
        "Ended transfers whose partial data is not removed yet."
    ),
    "jobs_running": Description("Jobs that run.", "kind"),
    "jobs_waiting": Description("Jobs that wait for a background worker.", "kind"),
    "jobs_oldest_waiting_timestamp_seconds": Description(
        "When the job was requested that waits longest. Missing while none waits."
    ),
    "objects_to_remove": Description(
        "Objects of images that are deleted permanently, which are due to be removed from their "
        "stores."
    ),
    "project_images": Description(
        "Images of the projects that have most data, see IMAGECATALOG_METRICS_PROJECTS.",
        "project",
    ),
    "project_bytes": Description(
        "Bytes of all copies of the images of the projects that have most data.",
        "project",
    ),
    "project_quota_bytes": Description(
        "Limit image_size_total of the projects that have most data. Missing for a project "
        "without a limit.",
        "project",
    ),
    "worker_paused": Description("1 if a restore has paused the workers, else 0."),
    "backup_last_timestamp_seconds": Description(
        "When the last backup was made. Missing before the first one."
    ),
    "backup_verified": Description(
        "1 if the last verification of a backup has found nothing wrong, else 0. Missing before "
        "the first one."
    ),
    "backup_unchecked": Description(
        "1 if the last verification of a backup was not possible, so that `backup_verified` is the "
        "result of an earlier one, else 0. Missing before the first backup."
    ),
    "worker_last_report_timestamp_seconds": Description(
        "When a background worker of any machine last reported."
    ),
}


def text(
    components: Mapping[str, bool], certificate_expiry: float | None = None
) -> bytes:
    """Return all metrics in Prometheus's format: the catalogue's, and whether each component works.

    ``certificate_expiry`` is when the service's TLS certificate expires (Unix time); None without
    TLS. While the database fails, only the metrics that need no database are included.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(components, certificate_expiry))
    registry.register(_Processes())
    return generate_latest(registry)


class _Collector:
    """The prometheus_client collector of the catalogue's metrics, which reads their present values."""

    def __init__(
        self, components: Mapping[str, bool], certificate_expiry: float | None
    ) -> None:
        self._components, self._expiry = components, certificate_expiry

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the catalogue's metrics with their present values (called by prometheus_client)."""
        yield _family("info", {str(settings.IMAGECATALOG_VERSION): 1})
        works = {name: int(works) for name, works in self._components.items()}
        yield _family("component_up", works)
        if self._expiry is not None:
            yield _family("certificate_expiry_timestamp_seconds", self._expiry)
        yield _family("store_free_bytes", _free())
        try:
            yield from list(_catalogue())
        except Error as error:
            outages.record(error)


class _Processes:
    """The prometheus_client collector of the metrics that the processes of this service count."""

    def collect(self) -> Iterable[Metric]:
        """Return the metrics, summed over all processes (called by prometheus_client)."""
        return process_metrics.sums()


def _catalogue() -> Iterable[GaugeMetricFamily]:
    counts = overview.statistics()
    yield _family("images", counts["images"])
    for name, condition in (
        ("images_stuck", overview.stuck()),
        ("images_failed_24h", overview.failed_lately()),
        ("images_damaged", overview.damaged()),
    ):
        yield _family(name, Image.objects.filter(condition).count())
    damaged = ImageLocation.objects.damaged().values_list("store")
    yield _family("copies_damaged", dict(damaged.annotate(Count("pk")).order_by()))
    if oldest := scheduled_verification.oldest():
        yield _family("verification_oldest_timestamp_seconds", oldest.timestamp())
    trash = counts["trash"]
    yield _family("trash_images", trash["images"])
    yield _family("trash_bytes", trash["bytes"])
    if due := overview.next_scrub():
        yield _family("trash_next_scrub_timestamp_seconds", due.timestamp())
    for unit in ("objects", "bytes"):
        by_store = {store: facts[unit] for store, facts in counts["stores"].items()}
        yield _family(f"store_{unit}", by_store)
    open_ones = Transfer.objects.filter(status__in=OPEN_STATUSES)
    by_status = open_ones.values_list("kind", "status").annotate(Count("pk"))
    running: Counter[str] = Counter()
    waiting: Counter[str] = Counter()
    for kind, status, number in by_status.order_by():
        running[kind] += number
        waiting[kind] += number if status == TransferStatus.WAITING else 0
    yield _family("transfers_running", running)
    yield _family("transfers_waiting", waiting)
    yield _family("transfers_to_remove", reaper.unclean_count())
    yield _family("objects_to_remove", lifecycle.overdue_count())
    jobs = statistics.open_jobs()
    yield _family("jobs_running", jobs.running)
    yield _family("jobs_waiting", jobs.waiting)
    if jobs.oldest:
        yield _family("jobs_oldest_waiting_timestamp_seconds", jobs.oldest.timestamp())
    yield from _projects(counts)
    yield _family("worker_paused", pause.current() is not None)
    if backup := BackupReport.objects.first():
        if backup.made_at:
            yield _family("backup_last_timestamp_seconds", backup.made_at.timestamp())
        if backup.is_whole is not None:
            yield _family("backup_verified", backup.is_whole)
        yield _family("backup_unchecked", backup.is_unchecked)
    if report := WorkerReport.objects.first():
        reported_at = report.reported_at.timestamp()
        yield _family("worker_last_report_timestamp_seconds", reported_at)


def _projects(counts: dict[str, Any]) -> Iterable[GaugeMetricFamily]:
    """Yield the metrics of the projects that have most data, at most IMAGECATALOG_METRICS_PROJECTS.

    One query for their limits; none if the setting is 0.
    """
    most = settings.IMAGECATALOG_METRICS_PROJECTS
    if not most:
        return
    # Counts that an earlier release has saved have no projects; those saved with another setting
    # have fewer projects, or no images.
    rows = {row["project"] or "": row for row in counts.get("projects", [])[:most]}
    for name, key in (("project_images", "images"), ("project_bytes", "used")):
        values = {project: row.get(key, 0) for project, row in rows.items()}
        yield _family(name, values)
    with suppress(errors.LimitsUnknown):
        limit = limits.of_all(limits.SIZE_TOTAL)
        allowed = {project: limit(project or None) for project in rows}
        yield _family(
            "project_quota_bytes",
            {project: size for project, size in allowed.items() if size is not None},
        )


def _free() -> dict[str, int]:
    free = {}
    for store in stores.configured():
        if isinstance(store, LocalStore):
            with suppress(errors.ImageError):
                free[store.id] = store.free()
    return free


def _family(name: str, values: float | Mapping[str, float]) -> GaugeMetricFamily:
    """Return the metric ``name``, one of METRICS, with one value or with a value for each label."""
    metric, full_name = METRICS[name], f"{process_metrics.PREFIX}_{name}"
    if not isinstance(values, Mapping):
        return GaugeMetricFamily(full_name, metric.help, values)
    family = GaugeMetricFamily(full_name, metric.help, labels=[metric.label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
