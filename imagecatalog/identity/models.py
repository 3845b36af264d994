"""Projects, and who has which role in them. Users are Django's own."""

from __future__ import annotations

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models


def new_id() -> str:
    return uuid4().hex


class Role(models.TextChoices):
    ADMIN = "admin"
    MEMBER = "member"
    READER = "reader"


class Project(models.Model):
    """What owns images. The id is what clients see as ``owner``."""

    id = models.CharField(primary_key=True, max_length=64, default=new_id)
    name = models.CharField(max_length=64, unique=True)

    def __str__(self) -> str:
        return self.name


class RoleAssignment(models.Model):
    """One role of a user in a project; admin includes member, member includes reader."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL, models.CASCADE, related_name="assignments"
    )
    project = models.ForeignKey(Project, models.CASCADE, related_name="assignments")
    role = models.CharField(max_length=6, choices=Role.choices)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "project"], name="one_role_in_a_project"
            )
        ]
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"
