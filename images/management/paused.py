"""Commands that do the work of the background worker, which must wait while that is paused."""

from __future__ import annotations

from django.core.management.base import CommandError

from images import pause


def refuse() -> None:
    """Raise CommandError while the background workers are paused after a restore."""
    if paused := pause.current():
        raise CommandError(
            f"Nothing may be ended or removed now: {paused['reason']} When the report of "
            "image_reconcile is as you expect, end the pause with worker_resume."
        )
