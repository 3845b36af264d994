"""A backup, wherever it is: its files in a folder, and its copies of objects."""

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
    """The copies of objects in a backup, under keys such as ``objects/store-local/ab/…``."""

    def are_there(self) -> bool:
        """Return whether the backup has copies at all."""

    def size(self, key: str) -> int | None:
        """Return the size of a copy in bytes, None if there is no such copy."""

    def read(self, key: str) -> Generator[bytes, None, None]:
        """Return the data of a copy in blocks; ``close()`` releases the file or connection."""

    def add(self, key: str, blocks: Iterable[bytes]) -> None:
        """Add a copy. Passes on the exceptions of ``blocks``."""

    def share(self, key: str, previous: Copies) -> bool:
        """Take a copy over from another backup in the same place; return False if that fails."""


@dataclass(frozen=True)
class Backup:
    """A backup, or the draft of a new one."""

    name: str  # its path or URL
    folder: Path  # with the manifest, the database and the secret key
    copies: Copies


# Takes the draft of a new backup, and the copies of the newest backup that has any.
Fill = Callable[[Backup, Copies | None], None]


class Place(Protocol):
    """A folder or bucket with backups, whose names are the times at which they were begun."""

    def create(self, fill: Fill) -> str:
        """Let ``fill`` make a new backup; return its path or URL.

        It counts as a backup when all of it is durable. After an exception nothing of it stays.
        Raises BackupError, OSError, and what ``fill`` raises.
        """

    def existing(self) -> list[str]:
        """Return the paths or URLs of the complete backups, the oldest first."""

    def keep_newest(self, number: int) -> list[str]:
        """Remove all backups but the newest ones; return those that were removed."""

    def opened(self, name: str) -> AbstractContextManager[Backup]:
        """Open the backup of this name, without the path or URL of the place, for reading.

        A context manager. Raises BackupError if there is no such backup.
        """


def new_name() -> str:
    """Return the name of a backup that begins now."""
    return timezone.now().astimezone(UTC).strftime(TIME)


def begun_at(backup: str) -> datetime:
    """Return the time at which a backup was begun, by its path or URL."""
    return datetime.strptime(NAME.findall(backup)[-1], TIME).replace(tzinfo=UTC)
