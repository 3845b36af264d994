"""The model of limits that the operator has set for single projects."""

from __future__ import annotations

from typing import Final

from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _

SIZE_TOTAL: Final = "image_size_total"
STAGE_TOTAL: Final = "image_stage_total"
COUNT_TOTAL: Final = "image_count_total"
COUNT_UPLOADING: Final = "image_count_uploading"
LARGEST: Final = (1 << 63) // (1 << 20) - 1  # MiB, whose bytes fit in 64 bits


class QuotaLimit(models.Model):
    """A limit of one project, which replaces the default limit of the same name."""

    project = models.CharField(
        _("project"), max_length=255, help_text=_("id of the project")
    )
    name = models.CharField(
        _("name"),
        max_length=32,
        choices=[
            (SIZE_TOTAL, _("image_size_total: MiB of images")),
            (STAGE_TOTAL, _("image_stage_total: MiB of resumable uploads")),
            (COUNT_TOTAL, _("image_count_total: images")),
            (
                COUNT_UPLOADING,
                _("image_count_uploading: images to which data is on its way"),
            ),
        ],
    )
    value = models.BigIntegerField(
        _("value"),
        help_text=_("MiB or images; -1 is no limit"),
        validators=[MinValueValidator(-1), MaxValueValidator(LARGEST)],
    )

    class Meta:
        verbose_name = _("limit of a project")
        verbose_name_plural = _("limits of projects")
        constraints = [
            models.UniqueConstraint(
                fields=["project", "name"], name="one_limit_of_a_name"
            )
        ]

    def __str__(self) -> str:
        return f"{self.name} of {self.project}"
