"""Counts over the whole catalogue, kept where to count it takes long."""

from __future__ import annotations

from django.db import models


class Statistics(models.Model):
    """The newest count; there is one row, or none yet."""

    taken_at = models.DateTimeField()
    seconds = models.FloatField(help_text="that it took")
    counts = models.JSONField()

    class Meta:
        db_table = "images_census"

    def __str__(self) -> str:
        return f"statistics of {self.taken_at:%Y-%m-%d %H:%M:%S}"
