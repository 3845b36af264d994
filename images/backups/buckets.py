"""A bucket with backups. A backup consists of the objects whose keys begin with its name.

The manifest is the object of a backup that is written last: it makes the backup complete.
"""

from __future__ import annotations

import tempfile
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit, urlunsplit

from django.utils import timezone

from images.backups import BackupError, manifests
from images.backups.backup import NAME, Backup, Copies, Fill, new_name
from images.backups.files import create_file, read
from images.backups.objects import FOLDER
from images.errors import DataMissing, StoreError
from images.stores.objects import ObjectStore

# Without a new object for so long, an unfinished backup counts as that of a dead process.
ABANDONED: Final = timedelta(days=2)
LONG_AGO: Final = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True)
class BucketCopies:
    """The copies of stored objects in a backup in a bucket; each copy is an object in the bucket."""

    store: ObjectStore
    name: str  # of the backup

    def are_there(self) -> bool:
        """Return whether the backup contains copies of objects. Raises BackupError if the bucket fails."""
        with _explained():
            return next(self.store.inside(f"{self.name}/{FOLDER}"), None) is not None

    def size(self, key: str) -> int | None:
        """Return the size in bytes of the copy with the key ``key``; None if there is no such copy.

        Raises BackupError if the bucket fails.
        """
        with _explained():
            try:
                return self.store.size(f"{self.name}/{key}")
            except DataMissing:
                return None

    def read(self, key: str) -> Generator[bytes, None, None]:
        """Yield the data of a copy in blocks. Raises BackupError if it cannot be read."""
        with (
            _explained(),
            closing(self.store.open(f"{self.name}/{key}")) as blocks,
        ):
            yield from blocks

    def add(self, key: str, blocks: Iterable[bytes]) -> None:
        """Store the bytes in ``blocks`` as the copy with the key ``key``.

        Raises BackupError if the object store fails, and the exceptions of ``blocks``.
        """
        with _explained():
            self.store.put(f"{self.name}/{key}", blocks)

    def share(self, key: str, previous: Copies) -> bool:
        """Let the object store copy the object ``key`` of the backup ``previous`` into this backup.

        Returns False if the object store fails, or if ``previous`` is not in a bucket; else True.
        """
        if not isinstance(previous, BucketCopies):
            return False
        target = f"{self.name}/{key}"
        try:
            self.store.copy(f"{previous.name}/{key}", target)
        except StoreError:
            with suppress(StoreError):  # the copy may be there all the same
                self.store.delete(target)
            return False
        return True


class BucketOfBackups:
    """The backups in a bucket of an object store, or below a prefix of the bucket's keys."""

    def __init__(self, url: str, store: ObjectStore) -> None:
        """Use the backups at a URL; ``store`` gives access to the bucket at this URL.

        The URL can have options, which are also a part of the URLs of the backups.
        """
        self._url = urlsplit(url)
        self._store = store

    def create(self, fill: Fill) -> str:
        """Make a new backup, whose content the function ``fill`` writes; return its URL.

        The manifest is stored last: a backup that has one is complete. The database passes through
        a temporary folder of this machine; the copies of objects do not. Raises BackupError,
        OSError, and the exceptions of ``fill``.
        """
        complete = self._names()
        self._remove_abandoned(complete)
        previous, name = self._newest_copies(complete), new_name()
        copies = BucketCopies(self._store, name)
        try:
            with tempfile.TemporaryDirectory() as folder:
                fill(Backup(self._url_of(name), Path(folder), copies), previous)
                for path in sorted(Path(folder).iterdir(), key=_manifest_last):
                    copies.add(path.name, read(path))
        except BaseException:
            with suppress(StoreError):
                self._remove(name)
            raise
        return self._url_of(name)

    def existing(self) -> list[str]:
        """Return the URLs of the complete backups, the oldest first.

        Raises BackupError if the bucket fails.
        """
        return [self._url_of(name) for name in self._names()]

    def keep_newest(self, number: int) -> list[str]:
        """Remove all complete backups but the newest ``number``; return the URLs of the removed backups.

        Raises BackupError if the bucket fails.
        """
        old = self._names()[:-number]
        with _explained():
            for name in old:
                self._remove(name)
        return [self._url_of(name) for name in old]

    @contextmanager
    def opened(self, name: str) -> Iterator[Backup]:
        """A context manager that opens a backup for reading, and yields it.

        Downloads its files, but no copies of objects, into a temporary folder. ``name`` is the last
        part of the path in the URL of the backup. Raises BackupError if there is no such backup.
        """
        copies = BucketCopies(self._store, name)
        with tempfile.TemporaryDirectory() as temporary:
            backup = Backup(self._url_of(name), Path(temporary), copies)
            _fetch(backup, manifests.NAME)
            for file in manifests.read(backup).files:
                _fetch(backup, file)
            yield backup

    def _names(self) -> list[str]:
        with _explained():
            names = filter(NAME.fullmatch, self._store.folders())
            return sorted(filter(self._is_complete, names))

    def _is_complete(self, name: str) -> bool:
        return BucketCopies(self._store, name).size(manifests.NAME) is not None

    def _newest_copies(self, complete: list[str]) -> Copies | None:
        copies = (BucketCopies(self._store, name) for name in reversed(complete))
        return next((it for it in copies if it.are_there()), None)

    def _remove_abandoned(self, complete: list[str]) -> None:
        with _explained():
            for name in filter(NAME.fullmatch, self._store.folders()):
                if name in complete:
                    continue
                # A backup that has been completed meanwhile has a manifest of just now.
                changes = (changed for _, changed in self._store.inside(name))
                if timezone.now() - max(changes, default=LONG_AGO) > ABANDONED:
                    self._store.delete_folder(name)

    def _remove(self, name: str) -> None:
        # The manifest first: what has one is complete.
        self._store.delete(f"{name}/{manifests.NAME}")
        self._store.delete_folder(name)

    def _url_of(self, name: str) -> str:
        path = f"{self._url.path.rstrip('/')}/{name}"
        return urlunsplit(self._url._replace(path=path))


def _fetch(backup: Backup, name: str) -> None:
    """Download the file ``name`` of a backup into the backup's temporary folder.

    Does nothing if the backup has no such file.
    """
    if backup.copies.size(name) is None:
        return
    with (
        closing(backup.copies.read(name)) as blocks,
        open(create_file(backup.folder / name), "wb") as file,
    ):
        file.writelines(blocks)


def _manifest_last(path: Path) -> tuple[bool, str]:
    return path.name == manifests.NAME, path.name


@contextmanager
def _explained() -> Iterator[None]:
    """A context manager that turns a StoreError into a BackupError with the reason for the failure."""
    try:
        yield
    except StoreError as error:
        raise BackupError(
            f"The bucket of the backups cannot be used: {error.with_cause()}"
        ) from error
