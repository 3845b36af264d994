"""The command that creates or shows the key that signs published files."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any, Final

from django.conf import settings
from django.core.management.base import CommandError

from images import data_folder
from images.console import CatalogueCommand
from images.publishing import SigningError, signing
from images.publishing.gnupg import Key

NEW_FOLDER: Final = "publish-key"  # in the data folder


class Command(CatalogueCommand):
    help = (
        "Show the key that signs what is published: its fingerprint and its user. With --create, "
        "create one: a key of GnuPG without a passphrase, in a folder that only this user can read. "
        "Run it as the user who runs the service."
    )
    # A system check refuses a folder without a key, which this command can create.
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "folder",
            nargs="?",
            type=Path,
            metavar="FOLDER",
            help="folder of the key; default: that of IMAGECATALOG_PUBLISH_KEY, or else, with "
            f"--create, {NEW_FOLDER} in the data folder",
        )
        parser.add_argument(
            "--create",
            metavar="USER",
            help="create a key with this user, such as 'Images <images@example.org>'",
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        configured = settings.IMAGECATALOG_PUBLISH_KEY
        folder = options["folder"] or (Path(configured) if configured else None)
        try:
            if options["create"] is not None:
                self._create(folder or _default(), options["create"])
            elif folder:
                with signing.opened(folder) as signer:
                    self._write_key(signer.key, folder)
            else:
                raise CommandError(
                    f"{signing.VARIABLE} is not set: nothing is signed. Create a key with "
                    "--create, or name the folder of one."
                )
        except SigningError as error:
            raise CommandError(str(error)) from error

    def _create(self, folder: Path, user: str) -> None:
        try:
            key = signing.create(folder.absolute(), user)
        except OSError as error:
            raise CommandError(
                f"{error.filename} cannot be written: {error.strerror}."
            ) from error
        self._write_key(key, folder.absolute())
        configured = settings.IMAGECATALOG_PUBLISH_KEY
        is_set = configured and Path(configured).absolute() == folder.absolute()
        to_set = (
            f"Set {signing.VARIABLE}={folder.absolute()}, and restart the service. "
        )
        self.write_summary(
            f"{'' if is_set else to_set}Keep a copy of the folder in a safe place: clients "
            "that verify signatures trust this key."
        )

    def _write_key(self, key: Key, folder: Path) -> None:
        self.write_row(
            f"{key.fingerprint}  {key.user}",
            fingerprint=key.fingerprint,
            user=key.user,
            folder=str(folder),
        )


def _default() -> Path:
    data_folder.prepare_folder()
    return Path(settings.IMAGECATALOG_DATA_DIR) / NEW_FOLDER
