"""Read from the database the facts about images on which the decisions of a policy depend."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, time
from fnmatch import fnmatchcase
from itertools import groupby
from typing import Any, Final, NamedTuple
from uuid import UUID

from django.db.models import Exists, F, FilteredRelation, OuterRef, Q, QuerySet

from images.models import (
    FamilyVersion,
    Image,
    Member,
    MemberStatus,
    RetentionPolicy,
)
from images.models.lookups import IsAnyOf
from images.retention.decisions import Fact, parse_time

BUILD_DATE: Final = "image_build_date"  # a property of images
PROPERTY: Final = "property:"  # the beginning of a grouping by a property
CHUNK: Final = 2000  # rows that are read at once

_COLUMNS: Final = (
    "pk",
    "name",
    "owner",
    "status",
    "os_hidden",
    "protected",
    "visibility",
    "size",
    "tags",
    "properties",
    "created_at",
    "updated_at",
)
_VERSION: Final = {
    "family_id": F("family_version__family"),
    "family": F("family_version__family__name"),
    "current": F("family_version__family__current"),
    "version": F("family_version__pk"),
    "label": F("family_version__label"),
    "label_key": F("family_version__label_key"),
    "build_date": F("family_version__build_date"),
    "added_at": F("family_version__added_at"),
}
_CLOCK: Final = {
    "since": F("clock__since"),
    "action": F("clock__action"),
    "acted_at": F("clock__acted_at"),
}
Row = dict[str, Any]


class Holder(NamedTuple):
    """The holder of images that are grouped together: a family, or a project for its images in no family."""

    family: UUID | None
    owner: str | None  # id of the project; None for a family


def holders(policy: RetentionPolicy) -> set[Holder]:
    """Return the families and the projects whose images a policy looks at. Two queries."""
    columns = "family_version__family", "owner"
    rows = _images(policy).order_by().values_list(*columns).distinct()
    return {_holder(*row) for row in rows}


def groups(
    policy: RetentionPolicy, holder: Holder | None = None
) -> Iterator[list[Fact]]:
    """Yield the groups of images that a policy looks at, as facts for its decisions. Two queries.

    An image of a family is in the group of its family; the others are grouped within their project.
    Only the images of one project or family are in memory at a time. With a ``holder``, only its
    images are read.
    """
    images = _images(policy)
    if holder is not None:
        images = images.filter(_held_by(holder))
    rows = _rows(policy, images.order_by("family_version__family", "owner", "pk"))
    for _, shared in groupby(rows, key=_holder_of):
        found: dict[str, list[Fact]] = defaultdict(list)
        for row in shared:
            found[_group(policy, row) or f"\0{row['pk']}"].append(_fact(policy, row))
        yield from found.values()


def _holder(family: UUID | None, owner: str | None) -> Holder:
    return Holder(family, None if family else owner)


def _holder_of(row: Row) -> Holder:
    return _holder(row["family_id"], row["owner"])


def _held_by(holder: Holder) -> Q:
    if holder.family:
        return Q(family_version__family=holder.family)
    return Q(family_version=None, owner=holder.owner)


def group_of(policy: RetentionPolicy, image: Image) -> list[Fact]:
    """Return the group of an image; empty if the policy does not look at the image. Four queries."""
    row = next(_rows(policy, _images(policy).filter(pk=image.pk)), None)
    if row is None:
        return []
    others = _held_by(_holder_of(row))
    if not row["family_id"]:
        value = _group(policy, row)
        others &= _in_group(policy, value) if value else Q(pk=image.pk)  # it is alone
    found = _images(policy).filter(others)
    return [_fact(policy, row) for row in _rows(policy, found)]


def _in_group(policy: RetentionPolicy, value: str) -> Q:
    if policy.group_by == "name":
        return Q(name=value)
    if policy.group_by.startswith(PROPERTY):
        name = policy.group_by.removeprefix(PROPERTY)
        return Q(properties__holds={name: value})
    return Q()


def _images(policy: RetentionPolicy) -> QuerySet[Image]:
    """Return the images that a policy looks at, before the pattern of names is applied.

    A family that names a policy is looked at by this policy only.
    """
    governing = "family_version__family__retention"
    others = Q(family_version=None) | Q((governing, ""))
    scope = _scope(policy) & others
    versions = FamilyVersion.objects.filter(family__retention=policy.name)
    if ids := list(versions.values_list("image", flat=True)):
        # With the ids, the database need not look for these images among those of all projects.
        scope |= Q(IsAnyOf(F("pk"), ids), Q((governing, policy.name)))
    accepted = Member.objects.filter(image=OuterRef("pk"), status=MemberStatus.ACCEPTED)
    clock = FilteredRelation(
        "retention_clocks", condition=Q(retention_clocks__policy=policy.pk)
    )
    images = Image.objects.existing().filter(scope, _selected(policy))
    return images.annotate(
        clock=clock, is_accepted=Exists(accepted), **_VERSION
    ).annotate(**_CLOCK)


def _scope(policy: RetentionPolicy) -> Q:
    scope = policy.scope
    if "families" in scope:
        return Q(family_version__family__in=scope["families"])
    if "projects" in scope:
        return Q(owner__in=scope["projects"])
    return Q()


def _selected(policy: RetentionPolicy) -> Q:
    select, selected = policy.select, Q()
    for column in ("disk_format", "visibility"):
        if column in select:
            selected &= Q((column, select[column]))
    for column in ("tags", "properties"):
        if select.get(column):
            selected &= Q((f"{column}__holds", select[column]))
    return selected


def _rows(policy: RetentionPolicy, images: QuerySet[Image]) -> Iterator[Row]:
    pattern = policy.select.get("name")
    columns = (*_COLUMNS, "is_accepted", *_VERSION, *_CLOCK)
    for row in images.values(*columns).iterator(chunk_size=CHUNK):
        if pattern is None or fnmatchcase(row["name"] or "", pattern):
            yield row


def _group(policy: RetentionPolicy, row: Row) -> str:
    """Return the value that the images of a group share; empty: the image is a group of its own."""
    if row["family_id"] or policy.group_by == "none":
        return "all"
    if policy.group_by == "name":
        return row["name"] or ""
    return str(row["properties"].get(policy.group_by.removeprefix(PROPERTY), ""))


def _fact(policy: RetentionPolicy, row: Row) -> Fact:
    properties = row["properties"]
    built, age_key = _of_version(row) if row["family_id"] else _of_image(row)
    until = policy.keep.get("until_property")
    return Fact(
        image=row["pk"],
        name=row["name"] or "",
        status=row["status"],
        built=built,
        age_key=age_key,
        updated_at=row["updated_at"],
        hidden=row["os_hidden"],
        protected=row["protected"],
        is_shared=row["is_accepted"] and row["visibility"] == "shared",
        size=row["size"] or 0,
        tags=row["tags"] if policy.keep.get("tags") else (),
        group=row["family"] or _shown_group(policy, row),
        family=row["family"] or "",
        label=row["label"] or "",
        is_current=row["version"] is not None and row["version"] == row["current"],
        until=properties.get(until) if until else None,
        since=row["since"],
        action=row["action"] or "",
        acted_at=row["acted_at"],
    )


def _shown_group(policy: RetentionPolicy, row: Row) -> str:
    return "" if policy.group_by == "none" else _group(policy, row)


def _of_version(row: Row) -> tuple[datetime, tuple[datetime, bytes, datetime, str]]:
    built = datetime.combine(row["build_date"], time(), UTC)
    return built, (built, bytes(row["label_key"]), row["added_at"], row["pk"])


def _of_image(row: Row) -> tuple[datetime, tuple[datetime, bytes, datetime, str]]:
    stated = row["properties"].get(BUILD_DATE, "")
    built = parse_time(stated) or row["created_at"]
    return built, (built, b"", row["created_at"], row["pk"])
