"""The pause of the background workers after a restore, until the operator ends it.

A restored catalogue does not know what happened after its backup: its workers would remove
objects that are still needed, and end transfers that have succeeded.
"""

from __future__ import annotations

from typing import Any

from images.models import WorkerPause


def current() -> dict[str, Any] | None:
    """Return ``since`` and ``reason`` of the workers' pause; None if they are not paused."""
    row = WorkerPause.objects.values("since", "reason").first()
    return None if row is None else {**row}


def end() -> None:
    """End the pause: the background workers run all of their duties again."""
    WorkerPause.objects.all().delete()
