"""Projects, who has which role in them, and what people and programs sign in with.

Users are Django's own.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone


def new_id() -> str:
    return uuid4().hex


class Role(models.TextChoices):
    ADMIN = "admin"
    MEMBER = "member"
    READER = "reader"
    SERVICE = "service"  # other services of a cloud; includes nothing else


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
    role = models.CharField(max_length=7, choices=Role.choices)

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "project"], name="one_role_in_a_project"
            )
        ]
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        return f"{self.user} is {self.role} of {self.project}"


class ApplicationCredential(models.Model):
    """What a program signs in with: an id and a secret, for one user in one project.

    It is exchanged for a token, or sent as it is: then people call it an API key. It ends with
    its user's role in the project, and can never do more than that role.
    """

    id = models.CharField(primary_key=True, max_length=32, default=new_id)
    name = models.CharField(max_length=255)
    description = models.CharField(max_length=255, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        related_name="application_credentials",
    )
    project = models.ForeignKey(
        Project, models.CASCADE, related_name="application_credentials"
    )
    role = models.CharField(
        max_length=7,
        choices=Role.choices,
        help_text="at most so much, however much its user may do",
    )
    actions = models.JSONField(
        null=True,
        blank=True,
        help_text="names of the rules that it may use; null: all that the role allows",
    )
    secret = models.CharField(max_length=128, help_text="hashed")
    created_at = models.DateTimeField(default=timezone.now)
    expires_at = models.DateTimeField(null=True, blank=True)
    last_used_at = models.DateTimeField(
        null=True, blank=True, help_text="to within five minutes"
    )

    class Meta:
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "name"], name="application_credential_name"
            )
        ]
        ordering: ClassVar = ["created_at", "id"]

    def __str__(self) -> str:
        return f"{self.name} of {self.user} in {self.project}"


class TokenGeneration(models.Model):
    """Counted up, it ends all tokens that the user has."""

    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        primary_key=True,
        related_name="token_generation",
    )
    number = models.PositiveIntegerField(default=0)

    def __str__(self) -> str:
        return f"generation {self.number} of {self.user}'s tokens"


class RevokedToken(models.Model):
    """One token that was ended before its time; forgotten once it would have expired."""

    audit_id = models.CharField(primary_key=True, max_length=32)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.audit_id


class SignInEvent(models.Model):
    """What happened around signing in: append-only, read by operators, gone after months."""

    at = models.DateTimeField(default=timezone.now, db_index=True)
    verb = models.CharField(max_length=32)
    user = models.CharField(max_length=150, blank=True, help_text="name")
    source = models.CharField(max_length=64, blank=True, help_text="address")
    request_id = models.CharField(max_length=64, blank=True)
    detail = models.JSONField(default=dict)

    class Meta:
        ordering: ClassVar = ["-id"]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.verb} {self.user}"
