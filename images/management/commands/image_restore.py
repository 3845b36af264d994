"""The command that restores images from the trash."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterable, Iterator
from typing import Any

from django.core.management.base import CommandError
from django.utils import timezone

from images import errors, lifecycle
from images.access import operator
from images.console import MOMENT, CatalogueCommand, iso, moment, progress, say
from images.models import Image, Status
from images.units import counted, size


class Command(CatalogueCommand):
    help = (
        "Restore images from the trash (status pending_delete) to the status that they had, "
        "with locations, tags, properties and members. The command can be used while the "
        "service runs. An image whose data is no longer in any store is not restored. Exit "
        "code 1: at least one image was not restored."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("ids", nargs="*", metavar="ID", help="the id of an image")
        parser.add_argument(
            "--all",
            action="store_true",
            help="restore all images that are in the trash now",
        )
        parser.add_argument(
            "--since",
            type=moment,
            metavar="T",
            help=f"with --all: only images that were deleted since T: {MOMENT}",
        )
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="only list the images; change nothing and do not check their data",
        )
        parser.add_argument(
            "--reason", default="", help="reason, recorded in the image's history"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        ids, since = list(dict.fromkeys(options["ids"])), options["since"]
        if bool(ids) == options["all"]:
            raise CommandError(
                "It is not clear which images are meant. Give either image ids or --all."
            )
        if since and not options["all"]:
            raise CommandError("--since works only with --all. Add --all.")
        # Images that are deleted after this time are not restored.
        until = timezone.now()
        if ids and options["dry_run"]:
            self._list(self._trashed(ids))
        elif ids:
            self._restore(ids, len(ids), options["reason"])
        elif options["dry_run"]:
            self._list(lifecycle.in_trash(since=since, until=until))
        else:
            count, _ = lifecycle.trash_total(since=since, until=until)
            images = lifecycle.in_trash(since=since, until=until)
            self._restore((image.id for image in images), count, options["reason"])

    def _trashed(self, ids: Iterable[str]) -> Iterator[Image]:
        missing = 0
        for image_id in ids:
            image = Image.objects.filter(pk=image_id).first()
            if image is not None and image.status == Status.PENDING_DELETE:
                yield image
                continue
            missing += 1
            self.stderr.write(f"{image_id}: is not in the trash")
        if missing:
            raise CommandError(
                f"{missing} of the images cannot be restored. Only images in the trash can be."
            )

    def _list(self, images: Iterable[Image | lifecycle.Trashed]) -> None:
        count = 0
        for count, image in enumerate(images, 1):  # noqa: B007 - its last value is used
            self.stdout.write(
                f"{image.id}: would be restored: {image.name or 'unnamed'}, "
                f"{size(image.size)}, deleted {iso(image.deleted_at)}"
            )
        self.stdout.write(f"{counted(count, 'image')} would be restored.")

    def _restore(self, ids: Iterable[str], count: int, reason: str) -> None:
        restored = failed = 0
        for image_id in progress(ids, count):
            try:
                lifecycle.restore(image_id, operator("command"), reason)
            except errors.ImageError as error:
                failed += 1
                say(self.stderr, f"{image_id}: {error.for_operator()}")
            else:
                restored += 1
                say(self.stdout, f"{image_id}: restored")
        self.stdout.write(f"{counted(restored, 'image')} restored.")
        if failed:
            raise CommandError(
                f"{failed} of {counted(restored + failed, 'image')} not restored. "
                "The reasons are listed above."
            )
