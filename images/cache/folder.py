"""The folder of the cache, the lock on it, and the handling of its failures.

The folder has four subfolders: ``data`` for the cached data, ``uses`` for the record of each file
in ``data``, ``parts`` for data that is being written (each file locked by its writer), and
``queue`` for an empty file for each image that waits to be cached.
"""

from __future__ import annotations

import fcntl
import logging
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from django.conf import settings

from images import errors

log = logging.getLogger(__name__)

DATA: Final = "data"
USES: Final = "uses"
PARTS: Final = "parts"
QUEUE: Final = "queue"
LOCK: Final = "lock"
# Other users must read neither the data of private images nor their ids.
FOLDER_MODE = 0o700
FILE_MODE = 0o600


def is_on() -> bool:
    """Return whether this machine has a read cache."""
    return bool(settings.IMAGECATALOG_CACHE_DIR)


def path(*names: str) -> Path:
    """Return the path of a file or folder below the cache folder; ``names`` are the parts of the path."""
    return Path(settings.IMAGECATALOG_CACHE_DIR, *names)


def names(folder: str) -> list[str]:
    """Return the names of all files in a subfolder of the cache, such as ``data``. Raises OSError."""
    with suppress(FileNotFoundError):
        return sorted(os.listdir(path(folder)))
    return []


def create() -> None:
    """Create the cache folder and its subfolders if they do not exist. Raises OSError."""
    for folder in (DATA, USES, PARTS, QUEUE):
        path(folder).mkdir(FOLDER_MODE, parents=True, exist_ok=True)


@contextmanager
def locked() -> Iterator[None]:
    """A context manager that locks the cache against all other threads and processes of this machine.

    Reading cached data needs no lock. Raises OSError if the lock cannot be opened.
    """
    create()
    file = os.open(path(LOCK), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, FILE_MODE)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield
    finally:
        os.close(file)


def stamp(file: int | Path) -> None:
    """Set the time of modification of a file to the system's present time. Raises OSError.

    The file system's own clock is too coarse to tell which of two files is newer.
    """
    os.utime(file, ns=(0, time.time_ns()))


@contextmanager
def failures_logged() -> Iterator[None]:
    """A context manager that logs an OSError or StoreError instead of raising it.

    Downloads also work without the cache.
    """
    try:
        yield
    except (OSError, errors.StoreError) as error:
        log.warning("the cache in %s cannot be used: %s", path(), error)


@contextmanager
def failures_raised() -> Iterator[None]:
    """A context manager that turns an OSError into StoreError."""
    try:
        yield
    except OSError as error:
        raise errors.StoreError(
            f"The cache cannot be used: {os.strerror(error.errno or 0)}."
        ) from error
