"""A stored copy of the unified limits of Keystone, as they were last read."""

from __future__ import annotations

from django.db import models


class UnifiedLimits(models.Model):
    """The limits that Keystone has for this service: one row, or none before they are first read.

    Values are in MiB or images; -1 means no limit.
    """

    read_at = models.DateTimeField()
    registered = models.JSONField(help_text="name -> value for every project")
    projects = models.JSONField(help_text="project -> name -> value, instead of those")

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"limits of {self.read_at:%Y-%m-%d %H:%M:%S}"
