"""The manifest of a backup, a JSON file with what is needed to check the backup.

It has the release that made the backup, figures about its content, and checksums of its files.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

from images.backups import BackupError, DamagedBackup, NoBackup
from images.backups.backup import NAME as BACKUP
from images.backups.backup import Backup
from images.backups.contents import Facts
from images.backups.files import create_file

NAME: Final = "manifest.json"
FORMAT: Final = 1


@dataclass(frozen=True)
class Manifest:
    """The manifest of a backup.

    It has the release and the time, figures about the database, and the checksums of the files.
    """

    version: str
    created_at: str
    database: str  # Django's name of its kind: sqlite or postgresql
    facts: Facts
    files: dict[str, dict[str, Any]]  # name -> its size (bytes) and sha256
    # How many were copied, linked and missing; None: a backup without objects.
    objects: dict[str, int] | None

    def document(self) -> dict[str, Any]:
        """Return the manifest as a dictionary, to be stored as JSON."""
        return {"format": FORMAT, **asdict(self)}


def of_files(folder: Path) -> dict[str, dict[str, Any]]:
    """Return the size and checksum of each file in the folder of a backup, by the file's name."""
    return {
        path.name: _facts(path) for path in sorted(folder.iterdir()) if path.is_file()
    }


def write(folder: Path, manifest: Manifest) -> None:
    """Write the manifest into the folder of a new backup."""
    with open(create_file(folder / NAME), "w") as file:
        json.dump(manifest.document(), file, indent=2)


def read(backup: Backup) -> Manifest:
    """Return the manifest of a backup.

    Raises NoBackup if there is no backup, DamagedBackup if the manifest is damaged or lost,
    BackupError if a newer release has made the backup in a format that this release does not know,
    and OSError if the manifest cannot be read.
    """
    try:
        document = json.loads((backup.folder / NAME).read_text())
        # First: other formats can have other fields.
        if document.pop("format") != FORMAT:
            raise BackupError(
                f"{backup.name} was made by release {document['version']}, in a format that this "
                "release does not know. Use that release, or a newer one."
            )
        manifest = Manifest(**document | {"facts": Facts(**document["facts"])})
        if not all(Path(name).name == name for name in manifest.files):
            raise ValueError("a file is not in the folder of the backup")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise _without_manifest(backup) from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise DamagedBackup(
            f"{backup.name} is damaged: its {NAME} is not readable. Use another backup."
        ) from error
    return manifest


def _without_manifest(backup: Backup) -> BackupError:
    # A folder has the name of a backup only when all of the backup was in it.
    if backup.folder.is_dir() and BACKUP.fullmatch(backup.folder.name):
        return DamagedBackup(
            f"{backup.name} is damaged: its {NAME} is missing. Use another backup."
        )
    return NoBackup(
        f"{backup.name} is not a backup: it has no {NAME}. Name what `backup` has printed."
    )


def damaged_files(folder: Path, manifest: Manifest) -> list[str]:
    """Compare the files of a backup with its manifest; return a sentence about each wrong file.

    A file is wrong if it is missing, or if its size or checksum is not that in the manifest.
    """
    problems = []
    for name, expected in manifest.files.items():
        path = folder / name
        if not path.is_file():
            problems.append(f"{name} is missing.")
        elif _facts(path) != expected:
            problems.append(f"{name} is damaged: it does not have its checksum.")
    return problems


def _facts(path: Path) -> dict[str, Any]:
    with path.open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
    return {"bytes": path.stat().st_size, "sha256": digest}
