"""The time at which a background worker last reported that it works."""

from __future__ import annotations

from django.db import models


class WorkerReport(models.Model):
    """The time of the last report of any background worker: one row, or none before the first report."""

    reported_at = models.DateTimeField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"report of {self.reported_at:%Y-%m-%d %H:%M:%S}"
