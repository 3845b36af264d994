"""The folder that has the program, and the program's version."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
IN_CHECKOUT = (BASE_DIR / "manage.py").is_file()
DISTRIBUTION = "imagecatalog-server"
DESCRIBE = ("git", "describe", "--tags", "--match=v[0-9]*", "--always")


def version() -> str:
    """Return the version of the installed package, or what git says of the checkout.

    In a checkout this is the last release, with the number of commits since and the commit if
    there are any: ``0.2.0`` or ``0.2.0-5-g1a2b3c4``. Without tags it is the commit, without git
    ``unknown``.
    """
    return of_checkout(BASE_DIR) if IN_CHECKOUT else metadata.version(DISTRIBUTION)


def of_checkout(folder: Path) -> str:
    """Return what git says of the commit in a folder, ``unknown`` if it says nothing."""
    if not (folder / ".git").exists():  # else git would describe a folder above
        return "unknown"
    try:
        done = subprocess.run(DESCRIBE, cwd=folder, capture_output=True, text=True)
    except OSError:  # there is no git
        return "unknown"
    return done.stdout.strip().removeprefix("v") or "unknown"
