"""The model of the report on backups, which the metrics show to monitoring."""

from __future__ import annotations

from django.db import models


class BackupReport(models.Model):
    """The time of the last backup, and the result of the last verification. There is at most one row.

    If the last verification was not possible, ``is_whole`` is the result of an earlier one.
    """

    made_at = models.DateTimeField(null=True)
    is_whole = models.BooleanField(null=True)  # None: no backup was verified yet
    # Whether the last verification was not possible
    is_unchecked = models.BooleanField(default=False, db_default=False)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        made = f"{self.made_at:%Y-%m-%d %H:%M:%S}" if self.made_at else "never"
        return f"last backup: {made}"
