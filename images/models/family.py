"""Families: names that always mean one image, the current version among many."""

from __future__ import annotations

import re
from typing import ClassVar, Self
from uuid import uuid4

from django.db import models
from django.db.models import Q, Value
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from images.models.image import Image

# Characters. With a version in parentheses the name is still short enough for an image.
MAX_IMAGE_NAME = 180

_DIGITS = re.compile(r"[0-9]+")


class FamilyScope(models.TextChoices):
    """The projects that find a family by its name."""

    PROJECT = "project", _("its project")
    PUBLIC = "public", _("all projects")


class Naming(models.TextChoices):
    """The ways to name those images of a family that are not current."""

    SAME = "same", _("the name of the current image")
    VERSIONED = "versioned", _("that name, and the version in parentheses")


class Family(models.Model):
    """A family of images: successive versions of one image, of which one is current."""

    id = models.UUIDField(_("id"), primary_key=True, default=uuid4, editable=False)
    name = models.CharField(_("name"), max_length=63)
    owner = models.CharField(_("project"), max_length=255)
    scope = models.CharField(
        _("scope"),
        max_length=7,
        choices=FamilyScope.choices,
        default=FamilyScope.PROJECT,
        db_default=FamilyScope.PROJECT,
    )
    title = models.CharField(
        _("title"), max_length=255, blank=True, default="", db_default=""
    )
    description = models.TextField(
        _("description"), blank=True, default="", db_default=""
    )
    homepage = models.CharField(
        _("homepage"), max_length=255, blank=True, default="", db_default=""
    )
    architecture = models.CharField(_("architecture"), max_length=32)
    # Blank: the name of the family.
    image_name = models.CharField(
        _("name of the image"),
        max_length=MAX_IMAGE_NAME,
        blank=True,
        default="",
        db_default="",
    )
    naming = models.CharField(
        _("other images have"),
        max_length=9,
        choices=Naming.choices,
        default=Naming.SAME,
        db_default=Naming.SAME,
    )
    name_separator = models.CharField(
        _("separator"), max_length=5, blank=True, default=" ", db_default=" "
    )
    hide_old = models.BooleanField(
        _("hide other images"), default=True, db_default=True
    )
    # The visibility that an image gets when it is promoted. Blank: it keeps its own.
    visibility = models.CharField(
        _("visibility"), max_length=9, blank=True, default="", db_default=""
    )
    verified_only = models.BooleanField(
        _("verified images only"), default=False, db_default=False
    )
    publish = models.BooleanField(_("publish"), default=False, db_default=False)
    template = models.JSONField(
        _("template"),
        blank=True,
        default=dict,
        db_default=Value({}, models.JSONField()),
    )
    current = models.ForeignKey(
        "FamilyVersion",
        models.SET_NULL,
        null=True,
        related_name="+",
        verbose_name=_("current version"),
    )
    # The name of the policy that alone looks at the images of the family. Blank: others can.
    retention = models.CharField(
        _("retention policy"), max_length=63, blank=True, default="", db_default=""
    )
    created_at = models.DateTimeField(_("created"), default=timezone.now)
    updated_at = models.DateTimeField(_("changed"), default=timezone.now)
    # Counts the changes of the family and its versions.
    version = models.PositiveIntegerField(_("changes"), default=1, db_default=1)

    class Meta:
        verbose_name = _("family")
        verbose_name_plural = _("families")
        permissions = [("promote_family", "Can promote version of family")]
        constraints = [
            models.UniqueConstraint(
                fields=["owner", "name"], name="one_family_of_a_name"
            ),
            models.UniqueConstraint(
                fields=["name"],
                condition=Q(scope="public"),
                name="one_public_family_of_a_name",
            ),
        ]

    def __str__(self) -> str:
        return self.name

    @property
    def name_of_current(self) -> str:
        """The name of the current image."""
        return self.image_name or self.name

    def name_of(self, version: FamilyVersion) -> str:
        """Return the name of the image of a version of the family."""
        if version.pk != self.current_id and self.naming == Naming.VERSIONED:
            return f"{self.name_of_current}{self.name_separator}({version.label})"
        return self.name_of_current

    def hides(self, version: FamilyVersion) -> bool:
        """Whether the image of a version of the family is hidden."""
        return self.hide_old and version.pk != self.current_id


class VersionQuerySet(models.QuerySet["FamilyVersion"]):
    """Filters and orders of the versions of families."""

    def newest_first(self) -> Self:
        """Sort versions by build date, then by the natural order of their labels, newest first."""
        return self.order_by("-build_date", "-label_key", "-pk")

    def before(self, version: FamilyVersion) -> Self:
        """Select the versions that follow ``version`` in the order of ``newest_first``."""
        day, label = Q(build_date=version.build_date), Q(label_key=version.label_key)
        return self.filter(
            Q(build_date__lt=version.build_date)
            | Q(day, label_key__lt=version.label_key)
            | Q(day, label, pk__lt=version.pk)
        )


class FamilyVersion(models.Model):
    """An image as a version of a family. An image belongs to at most one family."""

    family = models.ForeignKey(Family, models.CASCADE, related_name="versions")
    # Without a constraint: the previous release deletes rows of images.
    image = models.OneToOneField(
        Image, models.CASCADE, related_name="family_version", db_constraint=False
    )
    label = models.CharField(_("version"), max_length=64)
    label_key = models.BinaryField(max_length=256)  # natural order, by natural_key()
    build_date = models.DateField(_("built"))
    added_at = models.DateTimeField(default=timezone.now)
    promoted_at = models.DateTimeField(null=True)  # for the last time
    withdrawn = models.BooleanField(_("withdrawn"), default=False, db_default=False)
    note = models.TextField(_("note"), blank=True, default="", db_default="")

    objects: ClassVar[models.Manager[FamilyVersion]] = VersionQuerySet.as_manager()

    class Meta:
        default_permissions = ()
        verbose_name = _("version of a family")
        verbose_name_plural = _("versions of families")
        constraints = [
            models.UniqueConstraint(
                fields=["family", "label"], name="one_version_of_a_label"
            )
        ]
        indexes = [
            models.Index(
                fields=["family", "build_date", "label_key", "id"],
                name="family_version_newest",
            )
        ]

    def __str__(self) -> str:
        return self.label

    def state(self, current_id: int | None) -> str:
        """Return the state: current, withdrawn, old (was current) or candidate (never current).

        ``current_id`` is the pk of the family's current version.
        """
        if self.pk == current_id:
            return "current"
        if self.withdrawn:
            return "withdrawn"
        return "old" if self.promoted_at else "candidate"


class FamilyEvent(models.Model):
    """An entry of a family's history. Events are never modified, and outlive their family."""

    family = models.UUIDField(db_index=True)
    name = models.CharField(max_length=63, help_text="name of the family")
    at = models.DateTimeField(default=timezone.now)
    verb = models.CharField(max_length=16)
    from_version = models.CharField(
        max_length=64, blank=True, default="", db_default=""
    )
    to_version = models.CharField(max_length=64, blank=True, default="", db_default="")
    actor = models.CharField(max_length=255, blank=True, help_text="user id")
    project = models.CharField(max_length=255, blank=True)
    interface = models.CharField(max_length=16)
    request_id = models.CharField(max_length=64, blank=True)
    reason = models.TextField(blank=True)
    detail = models.JSONField(default=dict, db_default=Value({}, models.JSONField()))

    class Meta:
        default_permissions = ()
        ordering = ["id"]
        indexes = [models.Index(fields=["at", "id"], name="family_event_newest")]

    def __str__(self) -> str:
        return f"{self.name}: {self.verb} {self.to_version}".rstrip()


def natural_key(label: str) -> bytes:
    """Return the bytes by which labels sort in natural order: ``9.1`` comes before ``9.10``.

    In the bytes, the length of each number, in two digits, comes before its digits. All databases
    sort bytes in the same order.
    """

    def number(match: re.Match[str]) -> str:
        digits = match[0].lstrip("0")
        return f"{len(digits):02}{digits}"

    return _DIGITS.sub(number, label).encode()
