"""The command that makes a backup."""

from __future__ import annotations

from argparse import ArgumentParser
from datetime import datetime
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import CommandError

from images import console
from images.backups import creation, places, reports
from images.console import CatalogueCommand, positive_integer
from images.management import schema
from images.management.backups import explained, objects_progress
from images.models import Image
from images.units import counted


class Command(CatalogueCommand):
    help = (
        "Make a backup while the service works: the database of one moment, the secret key of the "
        "data folder and, with --with-bytes, the data of the images. The backup is a new "
        "folder, which only its owner can read, or is in a bucket. It has secrets: keep it as "
        "safe as the service. PostgreSQL needs pg_dump."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--to",
            metavar="PLACE",
            default=settings.IMAGECATALOG_BACKUP_DIR,
            help="folder or bucket of the backups: a path, or a URL as in IMAGECATALOG_STORES, such as "
            "s3://bucket/prefix (default: IMAGECATALOG_BACKUP_DIR)",
        )
        parser.add_argument(
            "--with-bytes",
            action="store_true",
            help="also copy the data of the images. Data that the previous backup in the folder has "
            "is shared with it by hard links; in a bucket it is copied there",
        )
        parser.add_argument(
            "--afresh",
            action="store_true",
            help="with --with-bytes: copy all data from the stores, for example because the data in "
            "the previous backup is damaged",
        )
        parser.add_argument(
            "--verify",
            action="store_true",
            help="then check the backup, as backup_verify does",
        )
        parser.add_argument(
            "--keep",
            type=positive_integer,
            metavar="N",
            help="then remove all backups in the place but the newest N",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["to"]:
            raise CommandError(
                "It is not clear where the backup is to be. Name a folder or URL with --to, or set "
                "IMAGECATALOG_BACKUP_DIR."
            )
        if missing := schema.pending():
            raise CommandError(
                f"The database is not migrated ({', '.join(missing)}). Run `migrate` first."
            )
        with explained(options["to"]), console.tidy_end():
            place = places.of(options["to"])
            copied = objects_progress if options["with_bytes"] else None
            name, manifest = creation.create(place, copied, afresh=options["afresh"])
        reports.note(made_at=datetime.fromisoformat(manifest.created_at))
        images = manifest.facts.tables[Image._meta.db_table]
        size = sum(facts["bytes"] for facts in manifest.files.values())
        self.write_row(
            f"{name}: {counted(images, 'image')}, {manifest.database}",
            path=name,
            bytes=size,
            images=images,
            objects=manifest.objects,
        )
        if options["verify"]:
            call_command("backup_verify", name, json=self.as_json)
        if options["keep"]:
            with explained(options["to"]):
                for old in place.keep_newest(options["keep"]):
                    self.write_summary(f"{old}: removed")
