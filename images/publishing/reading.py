"""Read the families, indexes and files of a published tree, for the responses to its clients."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from django.conf import settings
from django.db.models.functions import Length

from images.errors import NotFound
from images.models import (
    Family,
    FamilyScope,
    Publication,
    PublishedIndex,
    PublishedTree,
)
from images.models.publication import PUBLIC
from images.publishing import paths, renewal, storage, tree
from images.publishing.pages import Entry
from images.publishing.snapshot import PublishedFamily, PublishedVersion


@dataclass(frozen=True)
class Folder:
    """The folder of a version, or ``current/``, in a published tree.

    ``files`` has the content of each file by its name; None stands for the data of the image.
    """

    family: PublishedFamily
    version: PublishedVersion
    files: tree.Folder
    modified: datetime  # UTC

    def modified_of(self, name: str) -> datetime | None:
        """Return when a file of the folder was last changed; None if that is not known.

        It is not known for meta.json, which changes with the properties of the image, and for
        signatures, which change with the key.
        """
        can_change = name.endswith((paths.DOCUMENT, tree.DETACHED, tree.CLEARSIGNED))
        return None if can_change else self.modified

    def entries(self) -> list[Entry]:
        """Return the entries of the folder, sorted by name."""
        return [
            Entry(
                name,
                self.version.size if content is None else len(content),
                self.modified_of(name),
            )
            for name, content in sorted(self.files.items())
        ]


def open_tree(project: str) -> None:
    """Renew the rows of a published tree if its families have changed; call it before reading them.

    One query if nothing has changed. Raises NotFound for the tree of a project that publishes no
    family.
    """
    if not renewal.is_stale(project):
        return
    published = Family.objects.filter(
        owner=project, scope=FamilyScope.PROJECT, publish=True
    )
    known = Publication.objects.filter(tree=project)
    if project != PUBLIC and not (known.exists() or published.exists()):
        raise missing()
    renewal.renew(project)


def index(project: str, path: str, *, with_content: bool) -> PublishedIndex:
    """Return the row of an index, or another file of the top folder, by its path in a tree.

    One query; without ``with_content`` the content is read by a second query when it is first used.
    Raises NotFound if there is no such file.
    """
    rows = PublishedIndex.objects.filter(tree=project, path=path)
    rows = rows if with_content else rows.defer("content")
    row = rows.first() if path != renewal.CARDS else None
    if row is None:
        raise missing()
    return row


def cards(project: str) -> bytes:
    """Return the families of a tree as lists show them, sorted by name, for ``pages.read_cards``.

    One query.
    """
    rows = PublishedIndex.objects.filter(tree=project, path=renewal.CARDS)
    content = rows.values_list("content", flat=True).first()
    return b"[]" if content is None else bytes(content)


def key(project: str) -> str:
    """Return the fingerprint of the key that signs a tree; "" for no key. At most one query."""
    if not settings.IMAGECATALOG_PUBLISH_KEY:
        return ""
    rows = PublishedTree.objects.filter(pk=project)
    return rows.values_list("key", flat=True).first() or ""


def entries(project: str, folder: str = "") -> list[Entry]:
    """Return the indexes and subfolders in a folder of a published tree, such as ``streams/v1/``.

    One query.
    """
    rows = PublishedIndex.objects.filter(tree=project, path__startswith=folder)
    found: dict[str, Entry] = {}
    for path, size, modified in rows.exclude(path=renewal.CARDS).values_list(
        "path", Length("content"), "modified_at"
    ):
        name, slash, _ = path[len(folder) :].partition("/")
        entry = Entry(f"{name}/") if slash else Entry(name, size, modified)
        found[entry.name] = entry
    return sorted(found.values(), key=lambda it: it.name)


def family(project: str, name: str) -> tuple[Publication, PublishedFamily]:
    """Return a published family, with its row. One query. Raises NotFound."""
    rows = Publication.objects.filter(tree=project, name=name).exclude(snapshot=b"")
    row = rows.defer("unsigned", "parts").first()
    if row is None:
        raise missing()
    return row, storage.load(bytes(row.snapshot))


def folder(row: Publication, found: PublishedFamily, name: str) -> Folder:
    """Return the folder of a version, or the folder ``current``. No query. Raises NotFound."""
    if name == paths.CURRENT:
        version, files = found.current, tree.current_folder(found)
        modified = row.current_at
    else:
        version = next((it for it in found.versions if it.label == name), None)
        files = tree.version_folder(found, version) if version else {}
        modified = version.published_at if version else row.current_at
    if version is None:
        raise missing()
    return Folder(found, version, tree.signed(files, row.signatures), modified)


def missing() -> NotFound:
    """Return the error for a path at which nothing is published."""
    return NotFound(
        "Nothing is published here. The list of all files is /pub/index.json."
    )
