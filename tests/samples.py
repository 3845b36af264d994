"""The numbers that metrics show."""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client.metrics_core import Metric


def values(metrics: Iterable[Metric]) -> dict[tuple[str, ...], float]:
    """Return the values of metrics: name without ``imagecatalog_``, and labels -> value."""
    return {
        (one.name.removeprefix("imagecatalog_"), *one.labels.values()): one.value
        for metric in metrics
        for one in metric.samples
    }
