"""The code of earlier versions, from the history of the checkout."""

from __future__ import annotations

import io
import subprocess
import tarfile
from pathlib import Path

from tests.servers import ROOT, Missing


def git(*command: str) -> bytes:
    """Return what git prints about the checkout. Raises Missing if git fails."""
    done = subprocess.run(["git", "-C", ROOT, *command], capture_output=True)
    if done.returncode:
        raise Missing(f"the earlier version is not here: {done.stderr.decode()}")
    return done.stdout


def unpack(commit: str, folder: Path) -> None:
    """Write the files of a commit or tag into a folder. Raises Missing if it is not there."""
    archive = git("archive", commit)
    with tarfile.open(fileobj=io.BytesIO(archive)) as files:
        files.extractall(folder, filter="data")
