"""The command that creates a family."""

from __future__ import annotations

from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from images import families
from images.families import Outcome
from images.management import json_files, projects
from images.management.families import FamilyCommand
from images.models import FamilyScope


class Command(FamilyCommand):
    help = (
        "Create a family: a name that always means one image, the current version among many. "
        "The name of the family is also the name of its current image."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="name of the family, such as debian-13")
        parser.add_argument("--project", required=True, help="id or name of a project")
        parser.add_argument(
            "--arch",
            required=True,
            metavar="ARCHITECTURE",
            help="architecture of its images, such as x86_64 or aarch64",
        )
        parser.add_argument(
            "--public",
            action="store_true",
            help="all projects find the family by its name",
        )
        parser.add_argument(
            "--publish",
            action="store_true",
            help="publish its images as files below /pub/",
        )
        parser.add_argument(
            "--template",
            metavar="FILE",
            help="file with the template in JSON: properties, tags, min_disk, min_ram, "
            "template_wins, scs",
        )
        super().add_arguments(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        document: dict[str, Any] = {
            "name": options["name"],
            "owner": projects.owner_id(options["project"]),
            "architecture": options["arch"],
        }
        if options["public"]:
            document["scope"] = FamilyScope.PUBLIC
        if options["publish"]:
            document["publish"] = True
        if options["template"]:
            document["template"] = json_files.read(Path(options["template"]))
        self.change(
            lambda caller: Outcome(
                families.create(caller, document, options["reason"]), None, []
            ),
            options,
        )
