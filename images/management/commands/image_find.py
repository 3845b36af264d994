"""The command that finds images by the digest of their data."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any, Final

from django.core.management.base import CommandError

from images import errors
from images.console import CatalogueCommand
from images.expected_digests import ALGORITHMS
from images.models import Image
from images.operations import known_digests

NAMES: Final = (*ALGORITHMS, "md5")


class Command(CatalogueCommand):
    help = (
        "Find the images whose data has a digest, also those in the trash. Prints a line for "
        "each: IMAGE STATUS NAME. Exit code 1: there is none. The digest of a file is known if "
        "it was computed: always MD5 and IMAGECATALOG_HASH_ALGORITHM when the data came, others "
        "if a client has stated or asked for them."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        digest = parser.add_mutually_exclusive_group(required=True)
        for name in NAMES:
            digest.add_argument(
                f"--{name}", metavar="HEX", help=f"the {name} of the data"
            )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        given = ((name, options[name]) for name in NAMES)
        algorithm, digest = next((name, value) for name, value in given if value)
        try:
            condition = known_digests.having(algorithm, digest)
        except errors.Invalid as error:
            raise CommandError(str(error)) from None
        found = Image.objects.filter(condition, purged=False).order_by(
            "created_at", "pk"
        )
        for image in found.iterator():
            self.write_row(
                f"{image.pk} {image.status} {image.name or ''}".rstrip(),
                id=image.pk,
                status=image.status,
                name=image.name,
                owner=image.owner,
            )
        if not found.exists():
            raise CommandError("No image has this digest.")
