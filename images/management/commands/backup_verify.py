"""The command that verifies a backup."""

from __future__ import annotations

import errno
from argparse import ArgumentParser
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

from django.core.management.base import CommandError
from django.db import Error

from images import data_folder, outages
from images.backups import (
    BackupError,
    DamagedBackup,
    NoBackup,
    manifests,
    reports,
    verification,
)
from images.backups.backup import Backup
from images.backups.manifests import Manifest
from images.console import CatalogueCommand
from images.management.backups import (
    add_backup_argument,
    objects_progress,
    opened,
    sentence,
)
from images.units import counted

NOT_CHECKED: Final = 2  # the exit code, as of cmp and diff


class Command(CatalogueCommand):
    help = (
        "Check a backup without the service: its checksums, whether it can be restored, whether "
        "all rows are then there, and whether the data of the images has its digests. A backup "
        "of PostgreSQL is restored into a new database on the server of DATABASE_URL, which is "
        "dropped at the end. Prints a line for each problem, or else a line that says what was "
        "checked. Exit code 1: there is at least one problem; 2: the backup could not be checked, "
        "for example because pg_restore is not installed."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_backup_argument(parser)
        parser.add_argument(
            "--quick",
            action="store_true",
            help="only compare the checksums of the database and the secret key: restore nothing, "
            "and read no data of images",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        number, name, quick = 0, options["backup"], options["quick"]
        with _failure_noted(name), opened(name) as backup:
            manifest = manifests.read(backup)
            for problem in _problems(backup, manifest, quick):
                self.write_row(problem, problem=problem)
                number += 1
        if number or not quick:
            reports.note(is_whole=not number, is_unchecked=False)
        if number:
            raise CommandError(
                f"{counted(number, 'problem')} found. Do not rely on this backup: make a new one. "
                "If data of images is damaged, make it with --afresh."
            )
        objects = manifest.objects
        self.write_row(
            f"{backup.name}: {_summary(manifest, quick)}",
            path=backup.name,
            problems=0,
            restored=not quick,
            data_read=objects is not None and not quick,
            missing_objects=objects and objects["missing"],
        )


@contextmanager
def _failure_noted(name: str) -> Iterator[None]:
    """Turn errors in the context into CommandError, and save their meaning for monitoring.

    The meaning is that the backup ``name`` is damaged, or that it could not be checked. Nothing is
    saved if there is no such backup.
    """
    try:
        yield
    except NoBackup as error:
        raise CommandError(str(error), returncode=NOT_CHECKED) from error
    except (BackupError, OSError, Error) as error:
        reason = sentence(name, error)
        if _is_damage(error):
            reports.note(is_whole=False, is_unchecked=False)
            raise CommandError(reason) from error
        reports.note(is_unchecked=True)
        raise CommandError(
            f"{name} could not be checked: {reason}", returncode=NOT_CHECKED
        ) from error


def _is_damage(error: Exception) -> bool:
    """Return whether a failed verification means that the backup is damaged.

    Otherwise the backup could not be checked.
    """
    if isinstance(error, OSError):
        return error.errno == errno.EIO  # its disk cannot read it any more
    if isinstance(error, Error):
        return not outages.is_outage(error)
    return isinstance(error, DamagedBackup)


def _summary(manifest: Manifest, quick: bool) -> str:
    """Return sentences that say what was checked of a backup without problems, and what was not."""
    and_key = " and the secret key" if data_folder.KEY_FILE in manifest.files else ""
    sentences = ["nothing is wrong."]
    if quick:
        sentences = [
            f"the files of the database{and_key} have the checksums of the manifest.",
            "The database was not restored.",
        ]
    if manifest.objects is None:
        sentences.append("The backup does not have the data of images.")
    elif quick:
        sentences.append("The data of images was not read.")
    if manifest.objects and (missing := manifest.objects["missing"]):
        sentences.append(
            f"The stores lacked {counted(missing, 'object')} when the backup was made."
        )
    return " ".join(sentences)


def _problems(backup: Backup, manifest: Manifest, quick: bool) -> Iterator[str]:
    damaged = manifests.damaged_files(backup.folder, manifest)
    yield from damaged
    if not damaged and not quick:
        yield from verification.problems(backup, manifest, objects_progress)
