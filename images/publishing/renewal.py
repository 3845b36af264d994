"""Renew the rows of published trees after changes of families and of their images.

Each change adds a row of PublicationChange in its own transaction. The next process that reads a
tree, for a client or in the background worker, first renews the changed families and the indexes.
So a deactivated image is in no index once its deactivation is committed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

import orjson
from django.conf import settings
from django.db import transaction
from django.db.models import Exists
from django.utils import timezone

from images import access
from images.batches import batches
from images.models import (
    Publication,
    PublicationChange,
    PublishedIndex,
    PublishedTree,
)
from images.publishing import (
    catalogue_index,
    juju,
    pages,
    simplestreams,
    snapshots,
    storage,
    tree,
    virt_builder,
)
from images.publishing.snapshot import PublishedFamily
from images.publishing.snapshots import Found

MOST: Final = 500  # values in a query: SQLite allows only so many
FORMAT = 1  # raise it when a release makes other rows of the same families
COLUMNS = (
    "name",
    "revision",
    "current_at",
    "snapshot",
    "unsigned",
    "signatures",
    "parts",
)
CARDS = ""  # the path of an index that is not sent: the families as pages list them
# Parts:
INDEX, STREAMS, VIRT_BUILDER, CARD = "index", "streams", "virt-builder", "card"
JUJU = "juju"


def made_for() -> str:
    """Return a digest of the release's format and the settings on which the rows of a tree depend."""
    parts = (
        FORMAT,
        settings.IMAGECATALOG_PUBLISH_VERSIONS,
        settings.IMAGECATALOG_PROPERTY_PROTECTION_RULE_FORMAT,
        _readers(),
        settings.IMAGECATALOG_PUBLISH_KEY,
        settings.IMAGECATALOG_PUBLISH_JUJU,
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def _readers() -> list[tuple[str, list[str]]]:
    """Return the roles that can read each protected property, as this process has loaded them."""
    sections = access.protections()
    return [(it.pattern.pattern, sorted(it.allowed["read"])) for it in sections]


def is_stale(project: str) -> bool:
    """Return whether the rows of a tree must be renewed before they are read. One query.

    True only after changes of families, and for a tree that was never renewed. After a change of
    the settings or of the release the background worker renews the rows: during an upgrade,
    machines that differ would otherwise renew them at each request.
    """
    changes = PublicationChange.objects.filter(tree=project)
    states = PublishedTree.objects.filter(pk=project).annotate(
        is_changed=Exists(changes)
    )
    return states.values_list("is_changed", flat=True).first() is not False


def trees_to_renew() -> set[str]:
    """Return the trees with changes, and those made for other settings or by another release.

    Two queries.
    """
    changed = PublicationChange.objects.values_list("tree", flat=True)
    others = PublishedTree.objects.exclude(made_for=made_for())
    return {*changed.distinct(), *others.values_list("pk", flat=True)}


def renew(project: str, *, whole: bool = False) -> None:
    """Renew the rows of a tree if there were changes; with ``whole`` those of all families anyway.

    Waits for another process that renews the same tree.
    """
    with transaction.atomic():
        PublishedTree.objects.get_or_create(pk=project)
        row = PublishedTree.objects.select_for_update().get(pk=project)
        changes = PublicationChange.objects.filter(tree=project)
        seen = dict(changes.values_list("pk", "family"))
        families = {*seen.values()}
        made = made_for()
        is_other = row.made_for != made
        whole = whole or is_other or len(families) > MOST
        if not (whole or seen):
            return
        if row.key and not settings.IMAGECATALOG_PUBLISH_KEY:
            row.key = ""
            PublishedIndex.objects.filter(tree=project).delete()  # also what is signed
        changed = _renew_families(project, None if whole else families)
        if changed or is_other:
            row.revision += 1
            write_indexes(row)
        if whole:
            row.refreshed_at = timezone.now()
        row.made_for = made
        row.save(update_fields=["revision", "key", "refreshed_at", "made_for"])
        for portion in batches(list(seen), MOST):
            PublicationChange.objects.filter(pk__in=portion).delete()


def _renew_families(project: str, families: Collection[UUID] | None) -> bool:
    """Renew the publications of families, all of the tree if None; return whether any has changed."""
    rows = Publication.objects.filter(tree=project)
    if families is not None:
        rows = rows.filter(family__in=families)
    known = {row.family: row for row in rows}
    changed = False
    for found in list(snapshots.read(project, families)):
        publication = known.pop(found.family.pk, None)
        if publication is None:
            publication = Publication(family=found.family.pk, tree=project)
        changed |= _renew(publication, found)
    for portion in batches(list(known), MOST):
        rows.filter(family__in=portion).delete()
    return changed or bool(known)


def _renew(publication: Publication, found: Found) -> bool:
    """Renew the publication of a family; return whether clients now get a different content."""
    snapshot = bytes(publication.snapshot)
    before = storage.load(snapshot) if snapshot else None
    family = _with_current(publication, found, before)
    publication.name = family.name
    if not settings.IMAGECATALOG_PUBLISH_KEY:
        publication.signatures = {}
    if not settings.IMAGECATALOG_PUBLISH_KEY or is_signed(publication, family):
        publication.unsigned = b""
        return serve(publication, family)
    publication.unsigned = storage.dump(family)
    return serve(publication, still_published(before, family))


def _with_current(
    publication: Publication, found: Found, before: PublishedFamily | None
) -> PublishedFamily:
    """Return a family with its versions as they are now.

    Until its new current version is prepared, the version that was current stays current.
    """
    labels = {version.label for version in found.versions}
    former = before.current.label if before and before.current else ""
    current = next((it for it in (found.current, former) if it in labels), "")
    revision = publication.revision + (current != former)
    return snapshots.of(found, current, revision)


def still_published(
    before: PublishedFamily | None, now: PublishedFamily
) -> PublishedFamily | None:
    """Return a family as it was ``before``, without the versions that are no longer published.

    Returns None if no version is left, or the name of the family has changed.
    """
    if before is None or before.name != now.name:
        return None
    labels = {version.label for version in now.versions}
    versions = tuple(it for it in before.versions if it.label in labels)
    return replace(before, versions=versions) if versions else None


def is_signed(publication: Publication, family: PublishedFamily) -> bool:
    """Return whether all checksum files of a family have signatures."""
    return all(
        tree.key_of(it) in publication.signatures for it in tree.signable(family)
    )


def serve(publication: Publication, family: PublishedFamily | None) -> bool:
    """Save a publication with ``family`` as the content for clients; return whether it is changed.

    Without a family, clients get nothing.
    """
    former = bytes(publication.snapshot)
    snapshot = b"" if family is None else storage.dump(family)
    publication.snapshot = snapshot
    if family is not None:
        if publication.revision != family.revision:
            publication.current_at = timezone.now()
        publication.revision = family.revision
        publication.parts = _parts(family)
    _save(publication)
    return snapshot != former


def _save(publication: Publication) -> None:
    if publication._state.adding:
        publication.save(force_insert=True)
    else:
        publication.save(update_fields=COLUMNS)


def _parts(family: PublishedFamily) -> dict[str, Any]:
    return {
        INDEX: catalogue_index.fragment(family),
        STREAMS: simplestreams.fragment(family),
        VIRT_BUILDER: virt_builder.fragment(family),
        JUJU: juju.fragment(family),
        CARD: _json(asdict(pages.card(family))),
    }


def _json(values: Any) -> Any:
    """Return values as they are after a conversion to JSON and back: dates become text."""
    return orjson.loads(orjson.dumps(values))


def write_indexes(row: PublishedTree) -> None:
    """Write all unsigned indexes of a locked tree."""
    now = datetime.now(UTC).replace(microsecond=0)
    written = indexes(row, now, signed=False)
    for path, content in written.items():
        write_index(row.project, path, content, now)
    former = PublishedIndex.objects.filter(
        tree=row.project, path__startswith=juju.FOLDER
    )
    former.exclude(path__in=written).delete()


def indexes(row: PublishedTree, now: datetime, *, signed: bool) -> dict[str, bytes]:
    """Return the indexes of a tree by their paths. One query.

    With ``signed``, returns the indexes that the caller is to sign, otherwise the unsigned ones.
    """
    published = Publication.objects.filter(tree=row.project).exclude(snapshot=b"")
    parts = list(published.order_by("name").values_list("parts", flat=True))
    streams = simplestreams.documents((it[STREAMS] for it in parts), now, signed=signed)
    sections = virt_builder.document(it[VIRT_BUILDER] for it in parts)
    if signed:
        return {**streams, f"{virt_builder.PATH}{tree.CLEARSIGNED}": sections}
    whole = catalogue_index.document((it[INDEX] for it in parts), now, row.key)
    cards = pages.write_cards(it[CARD] for it in parts)
    return {
        **streams,
        **_for_juju((it[JUJU] for it in parts), now),
        virt_builder.PATH: sections,
        catalogue_index.PATH: whole,
        CARDS: cards,
    }


def _for_juju(parts: Iterable[Mapping[str, Any]], now: datetime) -> dict[str, bytes]:
    if not settings.IMAGECATALOG_PUBLISH_JUJU:
        return {}
    return juju.documents(parts, now, juju.Cloud(*settings.IMAGECATALOG_PUBLISH_JUJU))


def write_index(project: str, path: str, content: bytes, now: datetime) -> None:
    """Write the content of an index of a tree, with the time ``now`` as the time of its change."""
    PublishedIndex.objects.update_or_create(
        tree=project,
        path=path,
        defaults={
            "content": content,
            "sha256": hashlib.sha256(content).hexdigest(),
            "modified_at": now,
        },
    )
