"""Read families from the database for publication, each family in one query.

One query sees one state of the database, so the values of a family agree with each other.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from datetime import UTC, datetime
from itertools import groupby
from typing import NamedTuple
from uuid import UUID

from django.conf import settings
from django.db.models import BooleanField, ExpressionWrapper, F, Q, QuerySet, Window
from django.db.models.functions import RowNumber

from images import access, attributes, image_document
from images.models import Family, FamilyScope, FamilyVersion, Image, Status
from images.models.publication import PUBLIC
from images.models.rows import row_of
from images.operations import known_digests
from images.publishing import paths
from images.publishing.snapshot import PublishedFamily, PublishedVersion

# Of meta.json: the owner, and what each promotion changes. Mirrors would fetch it again.
LEFT_OUT = ("owner", "os_hidden", "updated_at")


class Found(NamedTuple):
    """A family with its versions that can be published, newest first."""

    family: Family
    current: str  # label of its current version, or ""
    versions: list[FamilyVersion]


def listed(versions: QuerySet[FamilyVersion]) -> QuerySet[FamilyVersion]:
    """Select from ``versions`` the current version and the newest other versions of each family.

    Only published families count, and versions with active images. For each family, up to
    IMAGECATALOG_PUBLISH_VERSIONS candidates are selected, and as many versions that are or were
    current. Withdrawn versions are left out, and labels and family names that are paths of the tree
    itself.
    """
    newest = Window(
        RowNumber(),
        partition_by=[
            F("family"),
            ExpressionWrapper(Q(promoted_at=None), BooleanField()),
        ],
        order_by=[F("build_date").desc(), F("label_key").desc(), F("pk").desc()],
    )
    active = versions.filter(
        family__publish=True, withdrawn=False, image__status=Status.ACTIVE
    ).exclude(Q(label__in=(paths.CURRENT, paths.PAGE)) | Q(family__name=paths.PAGE))
    most = settings.IMAGECATALOG_PUBLISH_VERSIONS
    return active.annotate(rank=newest).filter(
        Q(rank__lte=most) | Q(pk=F("family__current"))
    )


def read(tree: str, families: Collection[UUID] | None) -> Iterator[Found]:
    """Yield the families of a tree with their versions to publish; with ``families`` only those.

    Families without such a version are left out. So are versions that were never promoted, or that
    the worker has not prepared. One query.
    """
    versions = FamilyVersion.objects.filter(
        _in_tree(tree), promoted_at__isnull=False, prepared__ready_at__isnull=False
    )
    if families is not None:
        versions = versions.filter(family__in=families)
    rows = listed(versions).select_related("family__current", "image", "prepared")
    ordered = rows.order_by("family", "-build_date", "-label_key", "-pk")
    for _, group in groupby(ordered, key=lambda it: it.family_id):
        found = list(group)
        family = found[0].family
        yield Found(family, family.current.label if family.current else "", found)


def of(found: Found, current: str, revision: int) -> PublishedFamily:
    """Return a family in its published form; its current version has the label ``current``."""
    family, _, versions = found
    tree = "" if family.scope == FamilyScope.PUBLIC else family.owner
    template = family.template
    if "properties" in template:
        template = template | {"properties": public(template["properties"], tree)}
    return PublishedFamily(
        name=family.name,
        title=family.title,
        description=family.description,
        homepage=family.homepage,
        architecture=family.architecture,
        image_name=family.name_of_current,
        project=tree,
        revision=revision,
        aliases=tuple(template.get("aliases", ())),
        template=template,
        updated_at=_second(family.updated_at),
        versions=tuple(_version(it, tree, it.label == current) for it in versions),
    )


def _in_tree(tree: str) -> Q:
    if tree == PUBLIC:
        return Q(family__scope=FamilyScope.PUBLIC, image__visibility="public")
    seen = Q(image__owner=tree) | Q(image__visibility__in=("public", "community"))
    return Q(seen, family__scope=FamilyScope.PROJECT, family__owner=tree)


def _version(version: FamilyVersion, tree: str, current: bool) -> PublishedVersion:
    image, prepared = version.image, version.prepared
    assert prepared.ready_at
    digests = known_digests.of_model(image)
    properties = public(image.properties, tree)
    size = image.size or 0
    return PublishedVersion(
        label=version.label,
        image_id=image.pk,
        build_date=version.build_date,
        published_at=_second(prepared.ready_at),
        current=current,
        disk_format=image.disk_format or "",
        extension=prepared.extension,
        size=size,
        virtual_size=image.virtual_size or size,
        md5=digests.get("md5", ""),
        sha256=digests["sha256"],
        sha512=digests["sha512"],
        properties=properties,
        archive=bytes(prepared.archive),
        combined_sha256=prepared.combined_sha256,
        document=_document(image, properties),
    )


def public(properties: Mapping[str, str], tree: str) -> dict[str, str]:
    """Return the custom properties that all readers of a published tree can read, sorted by name.

    ``tree`` is the id of the project whose families the tree has; empty for the public tree.
    """
    readable = access.readable(access.visitor(tree), properties)
    return {
        name: value
        for name, value in sorted(readable.items())
        if not attributes.is_internal(name)
    }


def _document(image: Image, properties: dict[str, str]) -> dict[str, object]:
    row = row_of(image)
    document = image_document.fields(row, properties) | image_document.links(row)
    return {name: it for name, it in document.items() if name not in LEFT_OUT}


def _second(moment: datetime) -> datetime:
    return moment.astimezone(UTC).replace(microsecond=0)
