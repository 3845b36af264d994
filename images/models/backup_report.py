"""The model of the report on backups, which the metrics show to monitoring."""

from __future__ import annotations

from django.db import models


class BackupReport(models.Model):
    """The time of the last backup, and the result of the last verification. There is at most one row."""

    made_at = models.DateTimeField(null=True)
    is_whole = models.BooleanField(null=True)  # None: no backup was verified yet

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        made = f"{self.made_at:%Y-%m-%d %H:%M:%S}" if self.made_at else "never"
        return f"last backup: {made}"
