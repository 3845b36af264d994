"""The command that exports images to files."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import CommandError

from images import errors
from images.console import CatalogueCommand, EpilogFormatter, tidy_end, watched
from images.files import Folder, export_to, exportable_image
from images.management.projects import project_id
from images.models import READABLE_STATUSES, Image
from images.text import printable

EPILOG = """\
Each image is written to NAME.FORMAT, or to ID.FORMAT if it has no name, or to NAME-ID.FORMAT
if another image has that name; characters that a shell or a file system may treat specially
become _. The sidecar NAME.FORMAT.json holds attributes, properties, tags and digests for
image_import; it does not hold members, further locations or the history.

The data is verified against the image's size and strongest digest while it is written. A file
gets its name only when it is complete and on the disk. --skip-existing resumes an interrupted
export: it skips files whose sidecar, or, without one, whose data, matches the image. Exit code
1: at least one image was not exported.
"""
BATCH = 500


class Command(CatalogueCommand):
    help = "Export images to files, each with a sidecar that holds the metadata of the image."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = EpilogFormatter
        parser.epilog = EPILOG
        add = parser.add_argument
        add("ids", nargs="*", metavar="ID", help="the id of an image")
        add(
            "--to",
            required=True,
            metavar="PATH",
            help="a folder; for one ID also a file name",
        )
        add("--all", action="store_true", help="export every image that has data")
        add(
            "--status",
            choices=[str(status) for status in READABLE_STATUSES],
            help="with --all: only images with this status",
        )
        add("--project", help="with --all: only images of this project (name or id)")
        add(
            "--owner",
            metavar="ID",
            help="with --all: only images of this owner, which need not be a project here",
        )
        add("--no-metadata", action="store_true", help="write no sidecars")
        add("--force", action="store_true", help="overwrite existing files")
        add(
            "--skip-existing",
            action="store_true",
            help="resume: skip images that are already exported",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        self.counts: Counter[str] = Counter()
        self.size = 0
        self.write_options = {
            "metadata": not options["no_metadata"],
            "force": options["force"],
            "skip_existing": options["skip_existing"],
        }
        target = _target(options)
        with tidy_end():
            for image_id in (
                _selected_ids(options) if options["all"] else options["ids"]
            ):
                self._export(image_id, target)
        self._sum_up()

    def _export(self, image_id: str, target: Folder | Path) -> None:
        try:
            image = exportable_image(image_id)
            path = target.place(image) if isinstance(target, Folder) else target
            bar = partial(watched, what=path.name)
            written = export_to(path, image, watched=bar, **self.write_options)
        except errors.ImageError as error:
            self.counts["failed"] += 1
            self.stderr.write(f"{image_id}: {error.for_operator()}")
            return
        self.counts["written" if written else "skipped"] += 1
        self.size += (image.size or 0) if written else 0
        outcome = "exported to" if written else "is already in"
        self.stdout.write(f"{image_id}: {outcome} {printable(str(path))}")
        self.stdout.flush()

    def _sum_up(self) -> None:
        counts = self.counts
        self.stdout.write(
            f"{counts['written']} exported ({self.size} bytes), "
            f"{counts['skipped']} already present, {counts['failed']} failed."
        )
        if counts["failed"]:
            raise CommandError(
                f"{counts['failed']} could not be exported. The reasons are listed above."
            )


def _check(options: dict[str, Any]) -> None:
    if options["all"] == bool(options["ids"]):
        raise CommandError(
            "It is not clear which images are meant. Give either image ids or --all."
        )
    if options["force"] and options["skip_existing"]:
        raise CommandError(
            "--force and --skip-existing exclude each other. Use one of them."
        )
    for name in ("status", "project", "owner"):
        if options[name] is not None and not options["all"]:
            raise CommandError(
                f"--{name} works only with --all. Add --all or leave it out."
            )


def _target(options: dict[str, Any]) -> Folder | Path:
    text, path = options["to"], Path(options["to"])
    several = options["all"] or len(options["ids"]) > 1
    if not (several or path.is_dir() or text.endswith(os.sep)):
        return path
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(
            f"{text} cannot be used as a folder: {error.strerror}. Choose another path."
        ) from error
    return Folder(path)


def _selected_ids(options: dict[str, Any]) -> Iterator[str]:
    """Yield the ids of the images that the options select.

    The ids are queried in batches, so that no query is open while data is written, which can
    take hours.
    """
    statuses = [options["status"]] if options["status"] else READABLE_STATUSES
    images = Image.objects.existing().filter(status__in=statuses)
    if options["project"] is not None:
        images = images.filter(owner=project_id(options["project"]))
    if options["owner"] is not None:
        images = images.filter(owner=options["owner"])
    last = ""
    while True:
        ids = images.filter(pk__gt=last).order_by("pk").values_list("pk", flat=True)
        batch = list(ids[:BATCH])
        yield from batch
        if len(batch) < BATCH:
            return
        last = batch[-1]
