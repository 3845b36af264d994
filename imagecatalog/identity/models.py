"""Database models of projects, role assignments, credentials, tokens and sign-in events.

Users are in Django's auth app.
"""

from __future__ import annotations

from typing import ClassVar
from uuid import uuid4

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _


def new_id() -> str:
    """Return a random UUID without hyphens, as an id in Keystone's form."""
    return uuid4().hex


class Role(models.TextChoices):
    """The roles that users can have in projects."""

    ADMIN = "admin", _("Admin")
    MEMBER = "member", _("Member")
    READER = "reader", _("Reader")
    # For other services of a cloud; includes no other role.
    SERVICE = "service", _("Service")


class Project(models.Model):
    """A project, which owns images. Clients see its id as ``owner``."""

    id = models.CharField(_("id"), primary_key=True, max_length=64, default=new_id)
    name = models.CharField(_("name"), max_length=64, unique=True)

    class Meta:
        verbose_name = _("project")
        verbose_name_plural = _("projects")

    def __str__(self) -> str:
        return self.name


class RoleAssignment(models.Model):
    """The role that a user has in a project. Admin includes member, and member includes reader."""

    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("user"),
        related_name="assignments",
    )
    project = models.ForeignKey(
        Project,
        models.CASCADE,
        verbose_name=_("project"),
        related_name="assignments",
    )
    role = models.CharField(_("role"), max_length=7, choices=Role.choices)

    class Meta:
        verbose_name = _("role assignment")
        verbose_name_plural = _("role assignments")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "project"], name="one_role_in_a_project"
            )
        ]
        ordering: ClassVar = ["id"]

    def __str__(self) -> str:
        words = {"user": self.user, "role": self.role, "project": self.project}
        return gettext("%(user)s is %(role)s of %(project)s") % words


class ApplicationCredential(models.Model):
    """A credential for programs: an id and a secret, for one user in one project.

    Clients exchange the credential for a token, or send it unchanged as an API key. The
    credential becomes invalid when its user loses the role in the project, and never allows
    more than this role.
    """

    id = models.CharField(_("id"), primary_key=True, max_length=32, default=new_id)
    name = models.CharField(_("name"), max_length=255)
    description = models.CharField(_("description"), max_length=255, blank=True)
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        verbose_name=_("user"),
        related_name="application_credentials",
    )
    project = models.ForeignKey(
        Project,
        models.CASCADE,
        verbose_name=_("project"),
        related_name="application_credentials",
    )
    role = models.CharField(
        _("role"),
        max_length=7,
        choices=Role.choices,
        help_text=_("Limits the credential to this role."),
    )
    actions = models.JSONField(
        _("actions"),
        null=True,
        blank=True,
        help_text=_("Leave empty to allow everything the role allows."),
    )
    secret = models.CharField(
        _("secret"), max_length=128, help_text=_("Stored as a hash.")
    )
    created_at = models.DateTimeField(_("created at"), default=timezone.now)
    expires_at = models.DateTimeField(_("expires at"), null=True, blank=True)
    last_used_at = models.DateTimeField(
        _("last used at"),
        null=True,
        blank=True,
        help_text=_("Accurate to five minutes."),
    )

    class Meta:
        verbose_name = _("application credential")
        verbose_name_plural = _("application credentials")
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["user", "name"], name="application_credential_name"
            )
        ]
        ordering: ClassVar = ["created_at", "id"]

    def __str__(self) -> str:
        words = {"name": self.name, "user": self.user, "project": self.project}
        return gettext("%(name)s of %(user)s in %(project)s") % words


class ExternalAccount(models.Model):
    """The account of a user at an identity provider or in a directory.

    A user is recognised by the issuer (the provider or directory) and the subject (the id there),
    never by a name or an e-mail address.
    """

    # Without a constraint: the previous release deletes users, and does not know this table.
    user = models.ForeignKey(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        db_constraint=False,
        related_name="external_accounts",
    )
    issuer = models.CharField(max_length=255)
    subject = models.CharField(max_length=255)

    class Meta:
        default_permissions = ()
        constraints: ClassVar = [
            models.UniqueConstraint(
                fields=["issuer", "subject"], name="one_user_of_a_subject"
            )
        ]

    def __str__(self) -> str:
        return f"{self.subject} of {self.issuer}"


class SecondFactor(models.Model):
    """The second factor of a user: the secret for an app that makes one-time codes, and recovery codes.

    ``wrong`` is the number of wrong codes in a row, ``wrong_at`` the time of the last of them.
    """

    # Without a constraint: the previous release deletes users, and does not know this table.
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL,
        models.CASCADE,
        primary_key=True,
        db_constraint=False,
        related_name="second_factor",
    )
    secret = models.TextField(help_text="encrypted")
    counter = models.BigIntegerField(help_text="the period of the last code")
    recovery_codes = models.JSONField(help_text="hashes")
    wrong = models.PositiveSmallIntegerField(db_default=0, default=0)
    wrong_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"second factor of {self.user}"


class TokenGeneration(models.Model):
    """A number of a user, which is a part of each token of the user.

    Only tokens with the present number are valid: increasing it revokes all tokens of the user.
    """

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
    """A token that was revoked. The row is deleted once the token would have expired anyway."""

    audit_id = models.CharField(primary_key=True, max_length=32)
    expires_at = models.DateTimeField(db_index=True)

    def __str__(self) -> str:
        return self.audit_id


class AttemptCount(models.Model):
    """The number of sign-in attempts within a minute, for a name, an address or a pair of both.

    ``key`` is a keyed hash of the name, address or pair. ``right_at`` is the last time at which the
    name has signed in from the address. Times are seconds since 1970. See throttle.py.
    """

    key = models.CharField(primary_key=True, max_length=64)
    since = models.BigIntegerField(db_index=True)
    count = models.IntegerField(db_default=1)
    right_at = models.BigIntegerField(null=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"{self.count} since {self.since}"


class SignInEvent(models.Model):
    """An entry of the sign-in log, which operators read. It is never changed.

    Entries are deleted after IMAGECATALOG_SIGN_IN_RECORD_DAYS.
    """

    at = models.DateTimeField(_("at"), default=timezone.now, db_index=True)
    verb = models.CharField(_("verb"), max_length=32)
    user = models.CharField(
        _("user"), max_length=150, blank=True, help_text=_("Name of the user.")
    )
    source = models.CharField(
        _("source"), max_length=64, blank=True, help_text=_("Client address.")
    )
    request_id = models.CharField(_("request id"), max_length=64, blank=True)
    detail = models.JSONField(_("detail"), default=dict)

    class Meta:
        verbose_name = _("sign-in event")
        verbose_name_plural = _("sign-in log")
        ordering: ClassVar = ["-id"]
        indexes: ClassVar = [
            models.Index(fields=["user", "-id"], name="sign_in_event_of_user")
        ]

    def __str__(self) -> str:
        return f"{self.at:%Y-%m-%d %H:%M:%S} {self.verb} {self.user}"
