"""Helpers of the commands `backup`, `backup_verify` and `restore`."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from django.core.management.base import CommandError

from images.backups import BackupError, places
from images.backups.backup import Backup
from images.backups.contents import NeededObject
from images.console import progress, tidy_end


@contextmanager
def explained(name: str) -> Iterator[None]:
    """Turn a BackupError or OSError in the context into CommandError.

    ``name`` is the path or URL of a backup, for messages.
    """
    try:
        yield
    except BackupError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CommandError(
            f"{error.filename or name}: {reason}. Use a folder that this user can read and write, "
            "on a disk with enough space."
        ) from error


def add_backup_argument(parser: ArgumentParser) -> None:
    """Add the argument BACKUP, the path or URL of a backup, to the parser of a command."""
    parser.add_argument("backup", metavar="BACKUP", help="path or URL of a backup")


@contextmanager
def opened(name: str) -> Iterator[Backup]:
    """Open the backup at a path or URL for the context, and yield it.

    Raises CommandError if that fails, or for a BackupError or OSError in the context. SIGTERM
    and SIGINT raise SystemExit in the context, so that no temporary copy is left.
    """
    with tidy_end(), explained(name), places.opened(name) as backup:
        yield backup


def objects_progress(objects: Iterable[NeededObject]) -> Iterable[NeededObject]:
    """Yield the objects unchanged, and show a progress bar if standard error is a terminal."""
    return progress(objects, None, " objects")
