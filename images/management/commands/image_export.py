from __future__ import annotations

import os
from argparse import ArgumentParser, RawDescriptionHelpFormatter
from collections import Counter
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from images import errors
from images.console import shown, tidy_end, watched
from images.files import Folder, exported, written_to
from images.management.projects import project_id
from images.models import READABLE_STATUSES, Image

EPILOG = """\
Each image becomes NAME.FORMAT, or ID.FORMAT where it has no name, or NAME-ID.FORMAT where
another image has that name; characters that a shell or a file system might mind become _. The
sidecar NAME.FORMAT.json holds attributes, properties, tags and digests for image_import;
members, further locations and the history are not in it.

The bytes are verified against the image's size and strongest digest while they are written. A
file gets its name only when it is whole and on the disk. An export that was broken off is
resumed by --skip-existing: files whose sidecar, or, without one, whose bytes, agree with the
image are passed over. Exit code 1: one of them failed.
"""
BATCH = 500


class Command(BaseCommand):
    help = "Write images to files, with a sidecar of what is known about them."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = RawDescriptionHelpFormatter
        parser.epilog = EPILOG
        add = parser.add_argument
        add("ids", nargs="*", metavar="ID", help="the image's id")
        add(
            "--to",
            required=True,
            metavar="PATH",
            help="a folder; for one ID also a file",
        )
        add("--all", action="store_true", help="every image that has data")
        add(
            "--status", choices=[str(it) for it in READABLE_STATUSES], help="with --all"
        )
        add("--project", help="with --all: only what this project owns, by name or id")
        add("--owner", metavar="ID", help="the same, for an owner not known here")
        add("--no-metadata", action="store_true", help="without sidecars")
        add("--force", action="store_true", help="overwrite files")
        add(
            "--skip-existing",
            action="store_true",
            help="resume: pass over what is there",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        _check(options)
        self.counts: Counter[str] = Counter()
        self.size = 0
        self.how = {
            "metadata": not options["no_metadata"],
            "force": options["force"],
            "skip_existing": options["skip_existing"],
        }
        target = _target(options)
        with tidy_end():
            for image_id in _every(options) if options["all"] else options["ids"]:
                self._one(image_id, target)
        self._sum_up()

    def _one(self, image_id: str, target: Folder | Path) -> None:
        try:
            image = exported(image_id)
            path = target.place(image) if isinstance(target, Folder) else target
            bar = partial(watched, what=path.name)
            written = written_to(path, image, watched=bar, **self.how)
        except errors.ImageError as error:
            self.counts["failed"] += 1
            self.stderr.write(f"{image_id}: {error}")
            return
        self.counts["written" if written else "skipped"] += 1
        self.size += (image.size or 0) if written else 0
        done = "exported to" if written else "is already in"
        self.stdout.write(f"{image_id}: {done} {shown(str(path))}")
        self.stdout.flush()

    def _sum_up(self) -> None:
        counts = self.counts
        self.stdout.write(
            f"{counts['written']} exported ({self.size} bytes), "
            f"{counts['skipped']} there already, {counts['failed']} failed."
        )
        if counts["failed"]:
            raise CommandError(
                f"{counts['failed']} could not be exported; the reasons are above."
            )


def _check(options: dict[str, Any]) -> None:
    if options["all"] == bool(options["ids"]):
        raise CommandError("Give the ids of images, or --all.")
    if options["force"] and options["skip_existing"]:
        raise CommandError("Use either --force or --skip-existing.")
    for name in ("status", "project", "owner"):
        if options[name] is not None and not options["all"]:
            raise CommandError(f"--{name} goes with --all.")


def _target(options: dict[str, Any]) -> Folder | Path:
    text, path = options["to"], Path(options["to"])
    several = options["all"] or len(options["ids"]) > 1
    if not (several or path.is_dir() or text.endswith(os.sep)):
        return path
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{text} cannot be a folder: {error.strerror}.") from error
    return Folder(path)


def _every(options: dict[str, Any]) -> Iterator[str]:
    """Ids in batches: no query is open while bytes are written, which may take hours."""
    wanted = [options["status"]] if options["status"] else READABLE_STATUSES
    images = Image.objects.existing().filter(status__in=wanted)
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
