"""The table of metrics."""

from __future__ import annotations

from images.operations import metrics
from tests.docs.tables import table as markdown


def table() -> str:
    """The declared metrics as a Markdown table."""
    return markdown(
        ("Metric", "Meaning"),
        (
            (f"`{metrics.PREFIX}_{name}{_labels(one.label)}`", one.help)
            for name, one in metrics.METRICS.items()
        ),
    )


def _labels(label: str) -> str:
    return f"{{{label}}}" if label else ""
