"""The command that writes a static copy of a published tree."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from images import errors
from images.console import (
    CatalogueCommand,
    EpilogFormatter,
    command_errors,
    tidy_end,
    watched,
)
from images.management.projects import project_id
from images.publishing import export, paths, signatures, static_copy
from images.publishing.static_copy import Method, Report
from images.text import printable
from images.units import counted

EPILOG = """\
The command needs the settings of the service in its environment, such as IMAGECATALOG_PUBLISH.

The folder gets the files that the service has below /pub/, and a page index.html in each folder: a
tree for any web server, rsync, a bucket or a disk. A file appears under its name when it is complete,
and the indexes are replaced last, so a copy that is interrupted, or does not fit on the disk, leaves
the former tree as it was. Repeat the command to go on: data that is there is not copied again.

Files of versions that are no longer published stay, as no index names them, unless --delete is given.
"""
LINK_WARNING = "The copy shares files with the store: whoever can write to them changes the stored data."


class Command(CatalogueCommand):
    help = "Write a static copy of what is published into a folder, or bring one up to date."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.formatter_class = EpilogFormatter
        parser.epilog = EPILOG
        add = parser.add_argument
        add("folder", metavar="FOLDER", help="an empty folder, or one with a copy")
        add(
            "--url",
            help="address at which the copy is served, for the commands on its pages (default: that "
            "of the service, if IMAGECATALOG_PUBLIC_URL is set)",
        )
        add(
            "--project",
            help="the families of this project (name or id), not the public ones",
        )
        ways = parser.add_mutually_exclusive_group()
        ways.add_argument(
            "--copy",
            action="store_const",
            const=Method.COPY,
            dest="method",
            help="copy all data and compare it with its digest, even if the file system could share "
            "blocks with the store",
        )
        ways.add_argument(
            "--link",
            action="store_const",
            const=Method.LINK,
            dest="method",
            help="make hard links to the files of a store on the same file system. Whoever can write "
            "to the copy changes the stored data",
        )
        add(
            "--sign",
            action="store_true",
            help="first sign what the background worker has not signed yet, with "
            "IMAGECATALOG_PUBLISH_KEY",
        )
        add(
            "--delete",
            action="store_true",
            help="remove all other files from the folder, such as versions that are no longer "
            "published",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project = project_id(options["project"]) if options["project"] else ""
        url = _url(options["url"], project)
        method = options["method"] or Method.SHARE
        if method == Method.LINK:
            self.stderr.write(LINK_WARNING)
        with command_errors(), tidy_end():
            report = _export(project, url, method, options)
        self._say(report, options["folder"])

    def _say(self, report: Report, folder: str) -> None:
        versions = report.copied + report.shared + report.present
        self.stdout.write(
            f"{printable(folder)} has {counted(versions, 'version')}: {report.copied} copied, "
            f"{report.shared} shared with a store, {report.present} already there. "
            f"{counted(report.removed, 'file')} removed."
        )
        if report.unlisted:
            self.stdout.write(
                "No longer published, and not removed without --delete: "
                f"{counted(report.unlisted, 'file')}."
            )


def _export(project: str, url: str, method: Method, options: dict[str, Any]) -> Report:
    if settings.IMAGECATALOG_PUBLISH == "off":
        raise errors.Conflict(
            "Nothing is published. Set IMAGECATALOG_PUBLISH to public or signed-in first."
        )
    if options["sign"]:
        _sign(project)
    state = export.read(project)
    with static_copy.opened(Path(options["folder"]), method, _watched) as copy:
        export.write(state, url, copy)
        copy.finish(delete=options["delete"])
        return copy.report


def _sign(project: str) -> None:
    if not settings.IMAGECATALOG_PUBLISH_KEY:
        raise errors.Conflict(
            "There is no key. Make one with publish_key, and name its folder in "
            "IMAGECATALOG_PUBLISH_KEY."
        )
    export.refresh(project)
    signatures.sign(project)


def _watched(blocks: Iterator[bytes], size: int, name: str) -> Iterator[bytes]:
    return watched(blocks, size, what=name)


def _url(given: str | None, project: str) -> str:
    if given:
        return given.rstrip("/")
    if not settings.IMAGECATALOG_PUBLIC_URL:
        raise CommandError(
            "It is not clear where the copy is served. Give its address with --url, such as "
            "https://mirror.example.org/images, or set IMAGECATALOG_PUBLIC_URL: then its pages "
            "name the service."
        )
    return f"{settings.IMAGECATALOG_PUBLIC_URL}{paths.root(project)}"
