"""The folder of backups: each backup is a folder in it, named by the time at which it was begun."""

from __future__ import annotations

import fcntl
import os
import re
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from django.utils import timezone

from images.backups import BackupError
from images.stores.writeback import PART, sync_folder

FOLDER_MODE: Final = 0o700  # a backup has what passwords and tokens are checked with
FILE_MODE: Final = 0o600
TIME: Final = "%Y-%m-%dT%H-%M-%S.%fZ"
NAME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}Z")


def create(parent: Path, fill: Callable[[Path], None]) -> Path:
    """Let ``fill`` make the files of a new backup in ``parent``; return the folder of the backup.

    The folder gets its name only when all of its files are durable: a folder with the name of a
    backup is complete. Raises BackupError if another backup is being made in ``parent``, and
    the errors of ``fill``.
    """
    make_folder(parent)
    with _alone(parent):
        for unfinished in parent.glob(f"*{PART}"):
            shutil.rmtree(unfinished)
        path = parent / timezone.now().astimezone(UTC).strftime(TIME)
        draft = path.with_name(path.name + PART)
        draft.mkdir(FOLDER_MODE)
        try:
            fill(draft)
            _sync(draft)
            draft.rename(path)
            sync_folder(parent)
        except BaseException:
            shutil.rmtree(draft, ignore_errors=True)
            raise
    return path


def existing(parent: Path) -> list[Path]:
    """Return the backups in a folder, the oldest first."""
    if not parent.is_dir():
        return []
    return sorted(path for path in parent.iterdir() if NAME.fullmatch(path.name))


def begun_at(backup: Path) -> datetime:
    """Return the time at which a backup was begun, from the name of its folder."""
    return datetime.strptime(backup.name, TIME).replace(tzinfo=UTC)


def keep_newest(parent: Path, number: int) -> list[Path]:
    """Remove all backups in a folder except the ``number`` newest; return the removed ones.

    Raises BackupError if a backup is being made in the folder.
    """
    with _alone(parent):
        old = existing(parent)[:-number]
        for path in old:
            # Under another name first: what has the name of a backup is complete.
            draft = path.rename(path.with_name(path.name + PART))
            shutil.rmtree(draft)
    return old


def make_folder(folder: Path) -> None:
    """Create a folder and its parents, for their owner only, unless they exist already."""
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(FOLDER_MODE, exist_ok=True)


def create_file(path: Path) -> int:
    """Create a file that only its owner can read; return its descriptor."""
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


@contextmanager
def _alone(parent: Path) -> Iterator[None]:
    folder = os.open(parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _lock(folder, parent)
        yield
    finally:
        os.close(folder)


def _lock(folder: int, parent: Path) -> None:
    try:
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise BackupError(
            f"Another backup is being made in {parent}. Wait for its end, or use another folder."
        ) from None


def _sync(folder: Path) -> None:
    for base, _, names in os.walk(folder):
        for name in names:
            file = os.open(Path(base, name), os.O_RDONLY | os.O_CLOEXEC)
            try:
                os.fsync(file)
            finally:
                os.close(file)
        sync_folder(Path(base))
