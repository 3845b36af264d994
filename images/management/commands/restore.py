"""The command that restores a backup."""

from __future__ import annotations

from argparse import ArgumentParser
from contextlib import suppress
from typing import Any

from django.core.management import call_command
from django.core.management.base import CommandError
from django.db import Error

from images import data_folder
from images.backups import restoration, verification
from images.backups.backup import Backup
from images.backups.manifests import Manifest
from images.console import CatalogueCommand, confirm
from images.management import migration_lock, schema
from images.management.backups import (
    add_backup_argument,
    explained,
    objects_progress,
    opened,
)
from images.models import Image
from images.operations import health
from images.search import index
from images.units import counted


class Command(CatalogueCommand):
    help = (
        "Restore a backup into an empty catalogue, that of IMAGECATALOG_DATA_DIR and "
        "DATABASE_URL. No object is removed. Ends with the report of image_reconcile. The "
        "background workers are paused until worker_resume lets them remove what they find due. "
        "(image_restore restores images from the trash.)"
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        add_backup_argument(parser)
        parser.add_argument(
            "--replace",
            action="store_true",
            help="restore although there is a catalogue: its database is kept under another name, "
            "and its objects stay",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only check the backup and the catalogue; change nothing",
        )
        self.add_yes_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["backup"]
        with explained(name), opened(name) as backup:
            self._restore(backup, options)

    def _restore(self, backup: Backup, options: dict[str, Any]) -> None:
        manifest = verification.checked(backup)
        restoration.check_kind(manifest)
        _refuse_newer(manifest)
        replace = restoration.is_occupied()
        if replace:
            _refuse_present(options["replace"])
        images = manifest.facts.tables[Image._meta.db_table]
        about = f"{counted(images, 'image')}, backed up at {manifest.created_at}"
        if options["dry_run"]:
            self.stdout.write(f"{about}, would be restored.")
            return
        if replace:
            question = (
                f"The catalogue in {data_folder.database_name()} will be replaced."
            )
            confirm(question, options["yes"])
        data_folder.prepare_folder()
        with migration_lock.held():
            restoration.restore_database(backup, manifest, replace=replace)
            schema.upgrade()
            index.ensure()
            has_key = restoration.restore_secret_key(backup)
        self.stdout.write(f"{about}, restored.")
        if not has_key:
            self.stdout.write(
                "The backup has no secret key: set IMAGECATALOG_SECRET_KEY as it was, or all users "
                "have to sign in again."
            )
        if manifest.objects is not None:
            self._restore_objects(backup)
        self._report()

    def _restore_objects(self, backup: Backup) -> None:
        counts = restoration.restore_objects(backup, objects_progress)
        self.stdout.write(
            f"{counted(counts['stored'], 'object')} stored; {counts['present']} were in their "
            f"stores already, {counts['left_out']} are damaged or have no store."
        )

    def _report(self) -> None:
        self.stdout.write("Report of image_reconcile, which has changed nothing:")
        with suppress(CommandError):  # raised for findings, which are printed
            call_command("image_reconcile")
        self.stdout.write(
            "The background workers are paused: nothing is deleted permanently, and no import or "
            "job begins. Read the report, then run worker_resume."
        )


def _refuse_newer(manifest: Manifest) -> None:
    if newer := schema.unknown(manifest.facts.migrations):
        raise CommandError(
            f"The backup is of the newer release {manifest.version} ({', '.join(newer)}). "
            "Restore it with that release."
        )


def _is_in_use() -> bool:
    """Return whether a background worker runs; False if the database is damaged."""
    with suppress(Error):
        return health.worker_reports()
    return False


def _refuse_present(replace: bool) -> None:
    if not replace:
        raise CommandError(
            f"There is a catalogue already in {data_folder.database_name()}. Restore into an empty "
            "one: set IMAGECATALOG_DATA_DIR or DATABASE_URL. To put the present one aside, add "
            "--replace."
        )
    if _is_in_use():
        raise CommandError(
            "A background worker of this catalogue is running. Stop the service on all machines, "
            f"wait {health.SILENCE_SECONDS:.0f} seconds, and repeat."
        )
