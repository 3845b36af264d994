"""The last report of a background worker, by which others know that one works."""

from __future__ import annotations

from django.db import models


class WorkerReport(models.Model):
    """The time of the last report of any background worker: one row, or none before it."""

    reported_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"report of {self.reported_at:%Y-%m-%d %H:%M:%S}"
