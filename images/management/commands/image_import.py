"""The command that imports files and URLs as images."""

from __future__ import annotations

import os
import shlex
from argparse import ArgumentParser
from collections import Counter
from functools import partial
from typing import Any

from django.core.management.base import CommandError

from images import attributes, custom_properties, errors, lifecycle
from images.access import operator
from images.console import (
    CatalogueCommand,
    EpilogFormatter,
    command_errors,
    tidy_end,
    watched,
)
from images.files import ImportOptions, Outcome, Skipped, Source, find, import_source
from images.files.sidecar import digest
from images.files.sources import SCHEMES
from images.management.projects import only_project, project_id
from images.text import printable

EPILOG = """\
SOURCE is a file, a folder or an http(s) URL. From a folder, the command imports the regular
files that look like images: by content, by file name extension, or because they have a sidecar.
Links, devices, hidden files and *.part are skipped. URLs must be allowed by
IMAGECATALOG_URL_ALLOWED_HOSTS and IMAGECATALOG_URL_ALLOWED_PORTS.

A sidecar NAME.json, as image_export writes it, gives attributes, properties, tags, and the
digest that is verified; options override it. The format is detected from the content, else
from the file name extension, else it is raw. The owner is --project or --owner, else the
sidecar's owner, else the only project if there is exactly one.

An import that fails leaves no image: the new image is deleted, and the import can be repeated.
With --id or --keep-ids the image stays queued instead, and the next import with that id
continues with it. Exit code 1: at least one source was not imported.
"""
ONE_ONLY = ("name", "id", "checksum")


class Command(CatalogueCommand):
    help = "Import files, folders or URLs as images."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = EpilogFormatter
        parser.epilog = EPILOG
        add = parser.add_argument
        add("sources", nargs="+", metavar="SOURCE", help="a file, a folder or a URL")
        add("--recursive", action="store_true", help="include subfolders")
        add("--name", help="name of the image; default: the file's name (one source)")
        add("--id", help="id of the image; default: a new id (one source)")
        add("--keep-ids", action="store_true", help="use the ids in the sidecars")
        add("--disk-format", choices=attributes.DISK_FORMATS)
        add("--container-format", choices=attributes.CONTAINER_FORMATS)
        add("--visibility", choices=attributes.VISIBILITIES)
        owner = parser.add_mutually_exclusive_group()
        owner.add_argument("--project", help="the owner: name or id of a project")
        owner.add_argument(
            "--owner", metavar="ID", help="the owner, which need not be a project here"
        )
        add("--property", action="append", default=[], metavar="K=V")
        add("--tag", action="append", default=[])
        add("--store", help="store for the data; default: the first store")
        add(
            "--checksum",
            metavar="ALGO:HEX",
            help="digest against which the data is verified (one source)",
        )
        add("--no-metadata", action="store_true", help="ignore sidecars")
        add(
            "--skip-existing",
            action="store_true",
            help="skip sources of which the owner has an image with the same name and data",
        )
        add("--dry-run", action="store_true", help="only show what would be imported")

    def handle(self, *args: Any, **options: Any) -> None:
        self.counts: Counter[str] = Counter()
        with command_errors():
            import_options = _import_options(options)
        with tidy_end():
            for text in options["sources"]:
                for item in find(text, recursive=options["recursive"]):
                    self._import(item, import_options, options["dry_run"])
        self._sum_up(options["dry_run"])

    def _import(
        self, item: Source | Skipped, import_options: ImportOptions, dry_run: bool
    ) -> None:
        label = printable(item.label)
        if isinstance(item, Skipped):
            self._count("failed" if item.failed else "skipped", label, item.reason)
            return
        bar = partial(watched, what=os.path.basename(label) or label)
        try:
            actor = operator("command")
            outcome = import_source(
                item, import_options, actor, watched=bar, dry_run=dry_run
            )
        except errors.ImageError as error:
            self._count("failed", label, error.for_operator())
            return
        if outcome.existing:
            self.counts["already present"] += 1
            self.stdout.write(f"{outcome.existing}: already has the data of {label}")
            return
        self.counts["imported"] += 1
        description = _description(outcome)
        if dry_run:
            self.stdout.write(f"{label}: would become {description}")
        else:
            self.stdout.write(f"{outcome.image_id}: {label} imported as {description}")
        self.stdout.flush()

    def _count(self, result: str, label: str, reason: str) -> None:
        self.counts[result] += 1
        self.stderr.write(f"{label}: {result}: {printable(reason)}", self.style.NOTICE)

    def _sum_up(self, dry_run: bool) -> None:
        counts = self.counts
        self.stdout.write(
            f"{counts['imported']} {'would be ' if dry_run else ''}imported, "
            f"{counts['already present']} already present, {counts['skipped']} skipped, "
            f"{counts['failed']} failed."
        )
        if counts["failed"]:
            raise CommandError(
                f"{counts['failed']} could not be imported. The reasons are listed above."
            )


def _description(outcome: Outcome) -> str:
    plan = outcome.plan
    fields = plan.fields
    size = "size unknown" if plan.size is None else f"{plan.size} bytes"
    line = (
        f"{shlex.quote(printable(fields['name'] or ''))} ({fields['disk_format']}/"
        f"{fields['container_format']}, {size}, owner {fields.get('owner')})"
    )
    return line + "".join(f"; {note}" for note in plan.notes)


def _import_options(options: dict[str, Any]) -> ImportOptions:
    _check_one_source(options)
    if options["store"]:
        lifecycle.writable_store(options["store"])
    return ImportOptions(
        fields=attributes.clean_fields(_fields(options)),
        properties=custom_properties.clean_properties(_pairs(options["property"])),
        tags=tuple(attributes.clean_tags(options["tag"])),
        digests=_digests(options["checksum"]),
        store_id=options["store"],
        default_owner=only_project(),
        sidecars=not options["no_metadata"],
        keep_ids=options["keep_ids"],
        skip_existing=options["skip_existing"],
    )


def _check_one_source(options: dict[str, Any]) -> None:
    sources = options["sources"]
    is_single = len(sources) == 1 and (
        sources[0].lower().startswith(SCHEMES) or not os.path.isdir(sources[0])
    )
    for name in ONE_ONLY:
        if options[name] is not None and not is_single:
            raise CommandError(
                f"--{name} works only with one file or one URL. Import each separately."
            )


def _fields(options: dict[str, Any]) -> dict[str, Any]:
    names = ("name", "id", "disk_format", "container_format", "visibility", "owner")
    fields = {name: options[name] for name in names if options[name] is not None}
    if options["project"] is not None:
        fields["owner"] = project_id(options["project"])
    return fields


def _pairs(texts: list[str]) -> dict[str, str]:
    pairs = {}
    for text in texts:
        name, equals, value = text.partition("=")
        if not equals:
            raise CommandError(f"{text!r} is not a property. Use NAME=VALUE.")
        pairs[name] = value
    return pairs


def _digests(text: str | None) -> dict[str, str]:
    if text is None:
        return {}
    algorithm, _, value = text.partition(":")
    return {algorithm.lower(): digest(algorithm.lower(), value)}
