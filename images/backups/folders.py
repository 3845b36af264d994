"""A folder with backups. Each backup is a subfolder, and shares files with earlier backups."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Generator, Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from images.backups import BackupError
from images.backups.backup import NAME, Backup, Copies, Fill, new_name
from images.backups.files import FOLDER_MODE, create_file, make_folder, read
from images.backups.objects import FOLDER
from images.stores.writeback import PART, sync_folder


class FolderCopies:
    """The copies of stored objects in a backup in a folder; each copy is a file."""

    def __init__(self, backup: Path) -> None:
        self._backup = backup

    def are_there(self) -> bool:
        """Return whether the backup contains copies of objects."""
        return (self._backup / FOLDER).is_dir()

    def size(self, key: str) -> int | None:
        """Return the size in bytes of the copy with the key ``key``; None if there is no such copy."""
        path = self._backup / key
        return path.stat().st_size if path.is_file() else None

    def read(self, key: str) -> Generator[bytes, None, None]:
        """Yield the data of a copy in blocks. Raises OSError if it cannot be read."""
        return read(self._backup / key)

    def add(self, key: str, blocks: Iterable[bytes]) -> None:
        """Write the bytes in ``blocks`` into a new file, the copy with the key ``key``.

        Raises OSError, and the exceptions of ``blocks``.
        """
        path = self._backup / key
        make_folder(path.parent)
        with open(create_file(path), "wb") as file:
            file.writelines(blocks)

    def share(self, key: str, previous: Copies) -> bool:
        """Make a hard link to the copy ``key`` of the backup ``previous``.

        Returns False if the file system cannot make the link, or if ``previous`` is not in a
        folder; else True.
        """
        if not isinstance(previous, FolderCopies):
            return False
        path = self._backup / key
        make_folder(path.parent)
        with suppress(OSError):
            os.link(previous._backup / key, path)
            return True
        return False


class FolderOfBackups:
    """A folder with backups, which only its owner can read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def create(self, fill: Fill) -> str:
        """Make a new backup, whose content the function ``fill`` writes; return its path.

        The folder of the backup gets its final name once all its data is durable: a folder with
        such a name is a complete backup. Raises BackupError if another backup is being made in the
        same folder, OSError, and the exceptions of ``fill``.
        """
        make_folder(self._path)
        with self._alone():
            self._remove_unfinished()
            previous = self._newest_copies()
            path = self._path / new_name()
            draft = path.with_name(path.name + PART)
            draft.mkdir(FOLDER_MODE)
            try:
                fill(_backup(draft), previous)
                _sync(draft)
                draft.rename(path)
                sync_folder(self._path)
            except BaseException:
                shutil.rmtree(draft, ignore_errors=True)
                raise
        return str(path)

    def existing(self) -> list[str]:
        """Return the paths of the complete backups, the oldest first."""
        return [str(path) for path in self._paths()]

    def keep_newest(self, number: int) -> list[str]:
        """Remove all complete backups but the newest ``number``; return the paths of the removed backups.

        Raises BackupError if another backup is being made.
        """
        with self._alone():
            old = self._paths()[:-number]
            for path in old:
                # Under another name first: what has the name of a backup is complete.
                draft = path.rename(path.with_name(path.name + PART))
                shutil.rmtree(draft)
        return [str(path) for path in old]

    @contextmanager
    def opened(self, name: str) -> Iterator[Backup]:
        """A context manager that yields the backup in the subfolder ``name``, for reading.

        Does not check whether the backup exists.
        """
        yield _backup(self._path / name)

    def _paths(self) -> list[Path]:
        if not self._path.is_dir():
            return []
        return sorted(
            path
            for path in self._path.iterdir()
            if NAME.fullmatch(path.name) and path.is_dir() and not path.is_symlink()
        )

    def _newest_copies(self) -> Copies | None:
        copies = map(FolderCopies, reversed(self._paths()))
        return next((it for it in copies if it.are_there()), None)

    def _remove_unfinished(self) -> None:
        for path in self._path.glob(f"*{PART}"):
            # Other programs have files of that suffix, too.
            if NAME.fullmatch(path.name.removesuffix(PART)):
                shutil.rmtree(path)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        folder = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            self._lock(folder)
            yield
        finally:
            os.close(folder)

    def _lock(self, folder: int) -> None:
        try:
            fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise BackupError(
                f"Another backup is being made in {self._path}. Wait for its end, or use another "
                "folder."
            ) from None


def _backup(folder: Path) -> Backup:
    return Backup(str(folder), folder, FolderCopies(folder))


def _sync(folder: Path) -> None:
    for base, _, names in os.walk(folder):
        for name in names:
            file = os.open(Path(base, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        sync_folder(Path(base))
