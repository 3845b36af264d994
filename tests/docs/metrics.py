"""The table of metrics."""

from __future__ import annotations

from collections.abc import Iterator

from images import process_metrics
from images.operations import metrics
from tests.docs.tables import table as markdown


def table() -> str:
    """The declared metrics as a Markdown table."""
    return markdown(("Metric", "Type", "Meaning"), _rows())


def _rows() -> Iterator[tuple[str, str, str]]:
    for name, one in metrics.METRICS.items():
        yield _named(name, one.label), "gauge", one.help
    for name, metric in process_metrics.METRICS.items():
        kind = metric.kind.__name__.lower()
        yield _named(name, ",".join(metric.labels)), kind, metric.help


def _named(name: str, labels: str) -> str:
    shown = f"{{{labels}}}" if labels else ""
    return f"`{process_metrics.PREFIX}_{name}{shown}`"
