"""The pause of the background workers after a restore of the database from a backup."""

from __future__ import annotations

from django.db import models
from django.utils import timezone


class WorkerPause(models.Model):
    """The pause of all background workers: one row, or none while the workers are not paused."""

    since = models.DateTimeField(default=timezone.now)
    reason = models.TextField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"pause since {self.since:%Y-%m-%d %H:%M:%S}"
