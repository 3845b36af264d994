"""Functions that create and read files of backups, which only their owner can read."""

from __future__ import annotations

import os
from collections.abc import Generator
from pathlib import Path
from typing import Final

FOLDER_MODE: Final = 0o700  # a backup has what passwords and tokens are checked with
FILE_MODE: Final = 0o600
BLOCK: Final = 1 << 20  # bytes


def make_folder(folder: Path) -> None:
    """Create a folder, and its parents if they are missing, for their owner only.

    A folder that exists is not changed.
    """
    if not folder.is_dir():
        make_folder(folder.parent)
        folder.mkdir(FOLDER_MODE, exist_ok=True)


def create_file(path: Path) -> int:
    """Create a file that only its owner can read; return its file descriptor, open for writing.

    Raises FileExistsError if the file exists.
    """
    return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, FILE_MODE)


def read(path: Path) -> Generator[bytes, None, None]:
    """Yield the bytes of a file in blocks of at most 1 MiB."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block
