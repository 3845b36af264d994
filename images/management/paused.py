"""A check for commands that must not run while the background workers are paused."""

from __future__ import annotations

from django.core.management.base import CommandError

from images import pause


def refuse() -> None:
    """Raise CommandError if the background workers are paused, as they are after a restore."""
    if paused := pause.current():
        raise CommandError(
            f"Nothing may be ended or removed now: {paused['reason']} When the report of "
            "image_reconcile is as you expect, end the pause with worker_resume."
        )
