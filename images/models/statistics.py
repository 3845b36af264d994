"""Counts of the whole catalogue, stored because counting takes long."""

from __future__ import annotations

from django.db import models


class Statistics(models.Model):
    """The latest counts of the whole catalogue: one row, or none before the first count."""

    taken_at = models.DateTimeField()
    seconds = models.FloatField(help_text="duration of the count")
    counts = models.JSONField()

    class Meta:
        db_table = "images_census"

    def __str__(self) -> str:
        return f"statistics of {self.taken_at:%Y-%m-%d %H:%M:%S}"
