"""The folder in which the program is installed, and the version of the program."""

from __future__ import annotations

import subprocess
from importlib import metadata
from pathlib import Path

BASE_DIR = Path(__file__).resolve().parent.parent
IN_CHECKOUT = (BASE_DIR / "manage.py").is_file()
DISTRIBUTION = "imagecatalog-server"
DESCRIBE = ("git", "describe", "--tags", "--match=v[0-9]*", "--always")


def version() -> str:
    """Return the version of the program: of the installed package, or of the git checkout.

    For a checkout, the version is the last release, such as ``0.2.0``. If commits follow the
    release, their number and the newest commit are added: ``0.2.0-5-g1a2b3c4``. Without tags, the
    version is only the commit; without git, it is ``unknown``.
    """
    return of_checkout(BASE_DIR) if IN_CHECKOUT else metadata.version(DISTRIBUTION)


def of_checkout(folder: Path) -> str:
    """Return the version of the git checkout in a folder; ``unknown`` if git cannot tell."""
    if not (folder / ".git").exists():  # else git would describe a folder above
        return "unknown"
    try:
        done = subprocess.run(DESCRIBE, cwd=folder, capture_output=True, text=True)
    except OSError:  # there is no git
        return "unknown"
    return done.stdout.strip().removeprefix("v") or "unknown"
