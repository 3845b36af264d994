"""Write a published tree into a folder: the files below ``/pub/``, and its pages as index.html."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

from django.db import transaction

from images import errors
from images.models import Publication, PublishedIndex, PublishedTree
from images.publishing import pages, paths, reading, renewal, storage
from images.publishing.pages import Card, Entry
from images.publishing.paths import CURRENT, PAGE
from images.publishing.reading import Folder
from images.publishing.snapshot import PublishedFamily
from images.publishing.static_copy import Data, StaticCopy
from images.publishing.usage import Site


@dataclass(frozen=True)
class State:
    """The content of a published tree at one time: its families, indexes and lists."""

    publications: list[Publication]
    indexes: dict[str, bytes]
    entries: dict[str, list[Entry]]  # of the top folder and those with indexes
    cards: list[Card]
    key: str  # fingerprint of the key that signs, or ""

    @property
    def is_signed(self) -> bool:
        """Whether the checksum files have signatures."""
        return any(row.signatures for row in self.publications)

    def families(self) -> Iterator[tuple[Publication, PublishedFamily]]:
        """Yield the rows of the published families, each with its family; one is in memory at a time."""
        for row in self.publications:
            yield row, storage.load(bytes(row.snapshot))


def refresh(project: str) -> None:
    """Renew the rows of a published tree, even if only the settings or the release have changed.

    Raises NotFound for the tree of a project that publishes no family.
    """
    reading.open_tree(project)
    renewal.renew(project)


def read(project: str) -> State:
    """Return the content of a tree as of now. Raises NotFound if nothing is published in it."""
    refresh(project)
    with transaction.atomic():
        # The row is the lock of the tree: nobody changes families or indexes meanwhile.
        PublishedTree.objects.select_for_update().filter(pk=project).first()
        publications = Publication.objects.filter(tree=project).exclude(snapshot=b"")
        rows = PublishedIndex.objects.filter(tree=project).exclude(path=renewal.CARDS)
        indexes = {row.path: bytes(row.content) for row in rows}
        state = State(
            list(publications.defer("unsigned", "parts").order_by("name")),
            indexes,
            {it: reading.entries(project, it) for it in _folders(indexes)},
            pages.read_cards(reading.cards(project)),
            reading.key(project),
        )
    if not state.publications:  # an earlier copy must not be emptied by a wrong setting
        raise errors.NotFound(
            "Nothing is published yet. Publish a family, promote a version of it, and try again "
            "when the background worker has prepared it."
        )
    return state


def write(state: State, url: str, copy: StaticCopy) -> None:
    """Write the content of a published tree into a copy: versions, then the indexes and pages.

    ``url`` is the address at which clients will find the copy; the commands on its pages contain
    it. Raises StoreFull and StoreError, for example for a file that cannot be written; the copy
    then keeps the indexes that it had before.
    """
    site = Site(url, is_signed=state.is_signed, key=state.key)
    for row, family in state.families():
        for version in family.versions:
            _put_version(copy, site, reading.folder(row, family, version.label))
    for row, family in state.families():
        if family.current is not None:
            _put_current(copy, site, reading.folder(row, family, CURRENT))
        page = pages.family_page(site, family)
        copy.put_index(f"images/{family.name}/{PAGE}", page)
    for path in sorted(state.indexes, key=_names_others):
        copy.put_index(path, state.indexes[path])
    copy.put_index(pages.STYLE, pages.style())
    for folder, page in _pages(state, site):
        copy.put_index(f"{folder}{PAGE}", page)


def _put_version(copy: StaticCopy, site: Site, folder: Folder) -> None:
    version, path = folder.version, paths.folder(folder.family, folder.version)
    for name, content in folder.files.items():
        if content is None:
            data = Data(version.image_id, version.size, version.sha256)
            copy.put_data(f"{path}/{name}", data)
        else:
            copy.put(f"{path}/{name}", content)
    page = pages.version_page(site, folder.family, version, folder.entries())
    copy.put(f"{path}/{PAGE}", page)


def _put_current(copy: StaticCopy, site: Site, folder: Folder) -> None:
    family, version = folder.family, folder.version
    path = paths.current_folder(family)
    for name, content in folder.files.items():
        if content is None:
            copy.put_again(f"{path}/{name}", paths.image_file(family, version))
        else:
            copy.put_index(f"{path}/{name}", content)
    page = pages.version_page(site, family, version, folder.entries(), folder=CURRENT)
    copy.put_index(f"{path}/{PAGE}", page)


def _pages(state: State, site: Site) -> Iterator[tuple[str, bytes]]:
    """Yield (path of a folder, page) for the top folder, ``images/`` and the folders of indexes."""
    yield "images/", pages.families_page(site, state.cards)
    for folder, entries in state.entries.items():
        if folder:
            yield folder, pages.folder_page(site, folder, entries)
    yield "", pages.top_page(site, state.cards, pages.top_entries(state.entries[""]))


def _folders(indexes: dict[str, bytes]) -> list[str]:
    """Return the folders that contain indexes, each with a slash at the end, and first the top: ""."""
    parents = {parent for path in indexes for parent in PurePosixPath(path).parents}
    return ["", *sorted(f"{it}/" for it in parents if it.name)]


def _names_others(path: str) -> tuple[bool, str]:
    """Return a sort key for the path of an index: indexes that list other indexes come last."""
    return path.rpartition("/")[2].startswith("index"), path
