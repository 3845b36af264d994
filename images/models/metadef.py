"""Metadata definitions: descriptions of the properties that images and other resources can have."""

from __future__ import annotations

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

MAX_NAME = 80  # characters of the names of namespaces and definitions
MAX_DESCRIPTION = 500  # characters, of a namespace


class NamespaceVisibility(models.TextChoices):
    """The visibilities of a namespace: seen by all projects, or only by its owner."""

    PUBLIC = "public", _("Public")
    PRIVATE = "private", _("Private")


class MetadefNamespace(models.Model):
    """A named group of metadata definitions. Texts that are not set are stored as empty."""

    namespace = models.CharField(_("namespace"), max_length=MAX_NAME, unique=True)
    display_name = models.CharField(_("display name"), max_length=MAX_NAME, blank=True)
    description = models.CharField(
        _("description"), max_length=MAX_DESCRIPTION, blank=True
    )
    visibility = models.CharField(
        _("visibility"),
        max_length=7,
        choices=NamespaceVisibility.choices,
        default=NamespaceVisibility.PRIVATE,
    )
    # A protected namespace, and what is in it, cannot be deleted.
    protected = models.BooleanField(_("protected"), default=False)
    owner = models.CharField(
        _("owner"), max_length=255, blank=True, help_text=_("project id")
    )
    created_at = models.DateTimeField(
        _("created at"), default=timezone.now, editable=False
    )
    updated_at = models.DateTimeField(
        _("updated at"), default=timezone.now, editable=False
    )

    class Meta:
        verbose_name = _("metadata namespace")
        verbose_name_plural = _("metadata namespaces")
        indexes = [
            models.Index(fields=["created_at", "id"], name="metadef_newest"),
        ]

    def __str__(self) -> str:
        return self.namespace


class MetadefResourceType(models.Model):
    """A kind of resource that definitions describe, such as ``OS::Glance::Image``."""

    name = models.CharField(max_length=MAX_NAME, unique=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("resource type")
        verbose_name_plural = _("resource types")

    def __str__(self) -> str:
        return self.name


class MetadefAssociation(models.Model):
    """An association of a namespace with a resource type, to which its definitions apply."""

    namespace = models.ForeignKey(
        MetadefNamespace, models.CASCADE, related_name="associations"
    )
    resource_type = models.ForeignKey(
        MetadefResourceType, models.PROTECT, related_name="associations"
    )
    # The names of properties have this prefix on resources of the type.
    prefix = models.CharField(max_length=MAX_NAME, blank=True)
    # The set of the resource's properties that is meant, such as "image" for a volume.
    properties_target = models.CharField(max_length=MAX_NAME, blank=True)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("resource type association")
        verbose_name_plural = _("resource type associations")
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "resource_type"], name="metadef_association_once"
            )
        ]

    def __str__(self) -> str:
        return f"{self.namespace}: {self.resource_type}"


class MetadefObject(models.Model):
    """A named group of properties in a namespace."""

    namespace = models.ForeignKey(
        MetadefNamespace, models.CASCADE, related_name="metadef_objects"
    )
    name = models.CharField(max_length=MAX_NAME)
    description = models.TextField(blank=True)
    required = models.JSONField(default=list, blank=True)  # names of properties
    properties = models.JSONField(default=dict, blank=True)  # name -> JSON schema
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("metadata object")
        verbose_name_plural = _("metadata objects")
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "name"], name="metadef_object_once"
            )
        ]

    def __str__(self) -> str:
        return self.name


class MetadefProperty(models.Model):
    """A metadata definition of one property that images or other resources can have."""

    namespace = models.ForeignKey(
        MetadefNamespace, models.CASCADE, related_name="properties"
    )
    name = models.CharField(max_length=MAX_NAME)
    schema = models.JSONField(default=dict)  # without the name
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("metadata property")
        verbose_name_plural = _("metadata properties")
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "name"], name="metadef_property_once"
            )
        ]

    def __str__(self) -> str:
        return self.name


class MetadefTag(models.Model):
    """A tag that a namespace proposes for resources."""

    namespace = models.ForeignKey(MetadefNamespace, models.CASCADE, related_name="tags")
    name = models.CharField(max_length=MAX_NAME)
    created_at = models.DateTimeField(default=timezone.now, editable=False)
    updated_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        verbose_name = _("metadata tag")
        verbose_name_plural = _("metadata tags")
        constraints = [
            models.UniqueConstraint(
                fields=["namespace", "name"], name="metadef_tag_once"
            )
        ]

    def __str__(self) -> str:
        return self.name


class ShippedNamespace(models.Model):
    """The name of a namespace that is part of the service and was loaded into the database.

    Each such namespace is loaded only once, so that an operator can change or delete it.
    """

    namespace = models.CharField(max_length=MAX_NAME, unique=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return self.namespace
