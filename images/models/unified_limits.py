"""The unified limits as Keystone had them last."""

from __future__ import annotations

from django.db import models


class UnifiedLimits(models.Model):
    """The limits that Keystone has for this service: one row, or none before the first reading.

    Values are in MiB or images; -1 is no limit.
    """

    read_at = models.DateTimeField()
    registered = models.JSONField(help_text="name -> value for every project")
    projects = models.JSONField(help_text="project -> name -> value, instead of those")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"limits of {self.read_at:%Y-%m-%d %H:%M:%S}"
