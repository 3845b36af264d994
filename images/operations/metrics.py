"""The metrics of the catalogue, in the text format of Prometheus."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress

from django.conf import settings
from django.db import Error
from django.db.models import Count
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily

from images import errors, outages, pause, stores
from images.models import OPEN_STATUSES, Image, Transfer, WorkerReport
from images.operations import overview
from images.stores.local import LocalStore
from images.transfers import reaper

PREFIX = "imagecatalog"


def text(components: Mapping[str, bool]) -> bytes:
    """Return all metrics: facts about the catalogue, and which components work.

    While the database fails there are only the metrics that need none.
    """
    registry = CollectorRegistry()
    registry.register(_Collector(components))
    return generate_latest(registry)


class _Collector:
    """The metrics of one moment."""

    def __init__(self, components: Mapping[str, bool]) -> None:
        self._components = components

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """Yield the metrics, as prometheus_client asks."""
        yield _by_label(
            "info",
            "The running release.",
            "version",
            {str(settings.IMAGECATALOG_VERSION): 1},
        )
        yield _by_label(
            "component_up",
            "1 if the component of this machine works, else 0.",
            "component",
            {name: int(works) for name, works in self._components.items()},
        )
        yield _by_label(
            "store_free_bytes", "Free bytes on the disk of a store.", "store", _free()
        )
        try:
            yield from list(_catalogue())
        except Error as error:
            outages.record(error)


def _catalogue() -> Iterable[GaugeMetricFamily]:
    counts = overview.statistics()
    yield _by_label("images", "Images by status.", "status", counts["images"])
    for name, help_text, condition in (
        (
            "stuck",
            "Images in a transient status without a live transfer.",
            overview.stuck(),
        ),
        (
            "failed_24h",
            "Images whose transfer failed in the last 24 hours.",
            overview.failed_lately(),
        ),
        (
            "damaged",
            "Images with a copy that was damaged when it was last read.",
            overview.damaged(),
        ),
    ):
        yield _one(f"images_{name}", help_text, Image.objects.filter(condition).count())
    trash = counts["trash"]
    yield _one("trash_images", "Images in the trash.", trash["images"])
    yield _one("trash_bytes", "Bytes of the images in the trash.", trash["bytes"])
    if due := overview.next_scrub():
        yield _one(
            "trash_next_scrub_timestamp_seconds",
            "When the oldest image in the trash is deleted permanently.",
            due.timestamp(),
        )
    for unit in ("objects", "bytes"):
        by_store = {store: facts[unit] for store, facts in counts["stores"].items()}
        help_text = f"{unit.capitalize()} that images have in a store."
        yield _by_label(f"store_{unit}", help_text, "store", by_store)
    open_ones = Transfer.objects.filter(status__in=OPEN_STATUSES)
    by_kind = dict(open_ones.values_list("kind").annotate(Count("pk")).order_by())
    yield _by_label(
        "transfers_running",
        "Transfers that run or wait.",
        "kind",
        by_kind,
    )
    left = reaper.unclean_count()
    yield _one("transfers_to_remove", "Transfers with partial data in a store.", left)
    is_paused = pause.current() is not None
    yield _one("worker_paused", "1 if a restore has paused the workers.", is_paused)
    if report := WorkerReport.objects.first():
        yield _one(
            "worker_last_report_timestamp_seconds",
            "When a background worker of any machine last reported.",
            report.reported_at.timestamp(),
        )


def _free() -> dict[str, int]:
    free = {}
    for store in stores.configured():
        if isinstance(store, LocalStore):
            with suppress(errors.ImageError):
                free[store.id] = store.free()
    return free


def _one(name: str, help_text: str, value: float) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"{PREFIX}_{name}", help_text, value)


def _by_label(
    name: str, help_text: str, label: str, values: Mapping[str, float]
) -> GaugeMetricFamily:
    family = GaugeMetricFamily(f"{PREFIX}_{name}", help_text, labels=[label])
    for value, number in values.items():
        family.add_metric([value], number)
    return family
