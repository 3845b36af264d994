"""Helpers of the commands `backup`, `backup_verify` and `restore`."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from django.core.management.base import CommandError

from images.backups import BackupError
from images.backups.contents import NeededObject
from images.console import progress


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Raise CommandError instead of an error of a backup or of the file system at ``path``."""
    try:
        yield
    except BackupError as error:
        raise CommandError(str(error)) from error
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else str(error)
        raise CommandError(
            f"{error.filename or path}: {reason}. Use a folder that this user can read and write, "
            "on a disk with enough space."
        ) from error


def objects_progress(objects: Iterable[NeededObject]) -> Iterable[NeededObject]:
    """Yield the objects unchanged, and show a progress bar if standard error is a terminal."""
    return progress(objects, None, " objects")
