"""The command that writes metadata definitions to files."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from images import errors
from images.console import CatalogueCommand
from images.metadefs import files


class Command(CatalogueCommand):
    help = (
        "Write metadata definitions to JSON files in the format of Glance, one namespace to "
        "each file. Files of the same name are replaced."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "names", nargs="*", metavar="NAMESPACE", help="default: all namespaces"
        )
        parser.add_argument(
            "--to",
            type=Path,
            required=True,
            metavar="FOLDER",
            help="the folder, which is created if it is missing",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        taken: set[str] = set()
        try:
            namespaces = files.all_namespaces(options["names"])
            options["to"].mkdir(parents=True, exist_ok=True)
            for namespace in namespaces:
                name = files.file_name(namespace, taken)
                taken.add(name.lower())
                files.write(namespace, options["to"] / name)
                self.stdout.write(f"{namespace.namespace}: {name}")
        except errors.NotFound as error:
            raise CommandError(str(error)) from None
        except OSError as error:
            raise CommandError(
                f"{options['to']} cannot be written: {error.strerror}. Choose another folder."
            ) from None
