"""The classes for a backup, and for the folder or bucket that contains it."""

from __future__ import annotations

import re
from collections.abc import Callable, Generator, Iterable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final, Protocol

from django.utils import timezone

TIME: Final = "%Y-%m-%dT%H-%M-%S.%fZ"
NAME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d\.\d{6}Z")


class Copies(Protocol):
    """The copies of stored objects in a backup, by keys such as ``objects/store-local/ab/…``."""

    def are_there(self) -> bool:
        """Return whether the backup contains copies of objects."""

    def size(self, key: str) -> int | None:
        """Return the size in bytes of the copy with the key ``key``; None if there is no such copy."""

    def read(self, key: str) -> Generator[bytes, None, None]:
        """Return the data of a copy in blocks; its ``close()`` releases the file or connection."""

    def add(self, key: str, blocks: Iterable[bytes]) -> None:
        """Store the bytes in ``blocks`` as the copy with the key ``key``.

        Exceptions of ``blocks`` are raised, too.
        """

    def share(self, key: str, previous: Copies) -> bool:
        """Take the copy ``key`` over from the backup ``previous``, without reading its data.

        Returns False if that is impossible, else True. Both backups must be in the same folder or
        bucket.
        """


@dataclass(frozen=True)
class Backup:
    """A backup that can be read, or a new backup that is being written."""

    name: str  # its path or URL
    folder: Path  # with the manifest, the database and the secret key
    copies: Copies


# Takes the draft of a new backup, and the copies of the newest backup that has any.
Fill = Callable[[Backup, Copies | None], None]


class Place(Protocol):
    """A folder or bucket that contains backups.

    The name of each backup is the time at which it was begun.
    """

    def create(self, fill: Fill) -> str:
        """Make a new backup, whose content the function ``fill`` writes; return its path or URL.

        The backup is complete once all its data is durable. After an exception, its data is
        removed. Raises BackupError, OSError, and the exceptions of ``fill``.
        """

    def existing(self) -> list[str]:
        """Return the paths or URLs of the complete backups, the oldest first."""

    def keep_newest(self, number: int) -> list[str]:
        """Remove all complete backups but the newest ``number``.

        Returns the paths or URLs of the removed backups.
        """

    def opened(self, name: str) -> AbstractContextManager[Backup]:
        """Return a context manager that opens a backup for reading.

        ``name`` is the last part of the path or URL of the backup. Raises BackupError if there is
        no such backup.
        """


def new_name() -> str:
    """Return the name of a backup that begins now: the time in UTC."""
    return timezone.now().astimezone(UTC).strftime(TIME)


def begun_at(backup: str) -> datetime:
    """Return the time at which a backup was begun, which is a part of its path or URL."""
    return datetime.strptime(NAME.findall(backup)[-1], TIME).replace(tzinfo=UTC)
