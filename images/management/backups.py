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
    except (BackupError, OSError) as error:
        raise CommandError(sentence(name, error)) from error


def sentence(name: str, error: Exception) -> str:
    """Return the message of a BackupError; for an OSError, what is wrong and what to do.

    ``name`` is the path or URL of a backup.
    """
    if not isinstance(error, OSError):
        return str(error)
    reason = os.strerror(error.errno) if error.errno else str(error)
    return (
        f"{error.filename or name}: {reason}. Use a folder that this user can read and write, on a "
        "disk with enough space."
    )


@contextmanager
def opened(name: str) -> Iterator[Backup]:
    """A context manager that opens the backup at the path or URL ``name``, and yields it.

    SIGTERM and SIGINT raise SystemExit in the context, so that no temporary copy is left. Raises
    BackupError if there is no such backup in an object store; a folder is not checked.
    """
    with tidy_end(), places.opened(name) as backup:
        yield backup


def add_backup_argument(parser: ArgumentParser) -> None:
    """Add the argument BACKUP, the path or URL of a backup, to the parser of a command."""
    parser.add_argument("backup", metavar="BACKUP", help="path or URL of a backup")


def objects_progress(objects: Iterable[NeededObject]) -> Iterable[NeededObject]:
    """Yield the objects unchanged, and show a progress bar if standard error is a terminal."""
    return progress(objects, None, " objects")
