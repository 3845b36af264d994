"""Choices of users for the list of images in the admin: saved filters, columns and the page size."""

from __future__ import annotations

from typing import Final

from django.conf import settings
from django.db import models
from django.db.models import Value
from django.utils.translation import gettext_lazy as _

MAX_NAME: Final = 64  # characters


class SavedFilter(models.Model):
    """A named query of the list of images, such as ``status=active&tag=lts``, of one user."""

    # Without a constraint: the previous release deletes users.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        db_constraint=False,
        db_index=False,
    )
    name = models.CharField(_("name"), max_length=MAX_NAME)
    query = models.TextField()

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["user", "name"], name="one_saved_filter_of_a_name"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ListOptions(models.Model):
    """The columns of the list of images, and the number of its rows, that one user has chosen."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="+",
        primary_key=True,
        db_constraint=False,
    )
    columns = models.JSONField(default=list, db_default=Value([], models.JSONField()))
    page_size = models.PositiveSmallIntegerField(default=25, db_default=25)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.user_id}: {self.columns}"
