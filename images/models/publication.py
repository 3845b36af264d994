"""Models of publishing: families and indexes in the form that clients get, and their changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final
from uuid import UUID

from django.db import models
from django.utils import timezone

from images.models.family import Family, FamilyScope, FamilyVersion

# The tree of the public families; the other trees have the ids of projects.
PUBLIC: Final = ""


def tree_of(family: Family) -> str:
    """Return the tree in which a family is published: PUBLIC, or the id of its project."""
    return PUBLIC if family.scope == FamilyScope.PUBLIC else family.owner


class PreparedVersion(models.Model):
    """The values that the background worker computes for a version before it can be published."""

    # Without a constraint: the previous release deletes versions.
    version = models.OneToOneField(
        FamilyVersion, models.CASCADE, related_name="prepared", db_constraint=False
    )
    extension = models.CharField(max_length=32, blank=True)
    archive = models.BinaryField(default=bytes)  # meta.tar.xz
    # Of the archive and the data after it. Blank: clients have no use for it.
    combined_sha256 = models.CharField(max_length=64, blank=True)
    ready_at = models.DateTimeField(null=True)  # null: not ready yet
    # No worker takes the version before: one is working on it, or has failed.
    next_at = models.DateTimeField(default=timezone.now)
    attempts = models.PositiveIntegerField(default=0)
    error = models.TextField(blank=True)

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"prepared version {self.version_id}"


class Publication(models.Model):
    """A published family in the form that clients get. The row is renewed after each change."""

    # A plain value: the previous release deletes families.
    family = models.UUIDField()
    tree = models.CharField(max_length=255)
    name = models.CharField(max_length=63)
    revision = models.PositiveIntegerField(default=0)  # changes of the current version
    current_at = models.DateTimeField(default=timezone.now)  # the last of these changes
    # What clients get, in JSON. Empty: nothing, because nothing is signed yet.
    snapshot = models.BinaryField(default=bytes)
    # The same as of the last change, until its checksums are signed. Empty: nothing waits.
    unsigned = models.BinaryField(default=bytes)
    # Digest of a text -> its detached signature in base64, and the text with a signature.
    signatures = models.JSONField(default=dict)
    parts = models.JSONField(default=dict)  # of the indexes

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["tree", "family"], name="one_publication_of_a_family"
            )
        ]
        indexes = [models.Index(fields=["tree", "name"], name="publication_by_name")]

    def __str__(self) -> str:
        return f"publication of {self.name}"


class PublishedTree(models.Model):
    """A tree of published families: the public one, or that of a project.

    A process that changes families or indexes of the tree locks this row.
    """

    project = models.CharField(max_length=255, primary_key=True)  # blank: public
    revision = models.PositiveIntegerField(default=0)
    signed_revision = models.PositiveIntegerField(default=0)
    key = models.CharField(max_length=64, blank=True)  # fingerprint; blank: unsigned
    # What the rows were made for: the release's format and the settings.
    made_for = models.CharField(max_length=64, blank=True)
    refreshed_at = models.DateTimeField(default=timezone.now)  # as a whole

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"published tree of {self.project or 'all projects'}"


class PublishedIndex(models.Model):
    """The content of an index file in a published tree, such as index.json."""

    tree = models.CharField(max_length=255)
    path = models.CharField(max_length=100)
    content = models.BinaryField()
    sha256 = models.CharField(max_length=64, db_default="")  # of the content
    modified_at = models.DateTimeField(default=timezone.now)

    class Meta:
        default_permissions = ()
        constraints = [
            models.UniqueConstraint(
                fields=["tree", "path"], name="one_published_index_of_a_path"
            )
        ]

    def __str__(self) -> str:
        return self.path


class PublicationChange(models.Model):
    """A change of a family, or of an image in it, since its publication was renewed.

    Written in the transaction of the change. Rows are only inserted: a row that is
    updated would be one more lock for each change.
    """

    tree = models.CharField(max_length=255, db_index=True)
    family = models.UUIDField()

    class Meta:
        default_permissions = ()

    def __str__(self) -> str:
        return f"change of family {self.family}"


def note_change(family: Family, *, moved: bool = False) -> None:
    """Note that a family has changed, so that its publication is renewed before it is next read.

    ``moved`` says that the family's scope has changed: then it is renewed in the public tree and in
    the tree of its project. One query.
    """
    _note(family.pk, {PUBLIC, family.owner} if moved else {tree_of(family)})


def note_change_of_image(image_id: str) -> None:
    """Note that the image of a version has changed, if its family is published.

    One query, two if the family is published.
    """
    versions = FamilyVersion.objects.filter(image=image_id, family__publish=True)
    for version in versions.select_related("family").defer("family__template"):
        _note(version.family_id, {tree_of(version.family)})


def _note(family: UUID, trees: Iterable[str]) -> None:
    PublicationChange.objects.bulk_create(
        PublicationChange(tree=tree, family=family) for tree in trees
    )
