"""A real file system of a chosen size, in memory."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def mounted(folder: Path, size: str) -> Iterator[bool]:
    """Mount a file system at a folder; yields False where this user is not allowed to.

    ``size`` is that of the option of tmpfs, such as ``8m``.
    """
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        yield False
        return
    try:
        yield True
    finally:
        # A service that has files there may live longer.
        subprocess.run(["umount", "--lazy", folder], check=True)


def resize(folder: Path, size: str) -> None:
    """Change the size of a mounted file system."""
    subprocess.run(["mount", "-o", f"remount,size={size}", folder], check=True)
