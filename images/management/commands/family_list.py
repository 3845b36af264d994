"""The command that lists families."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images.console import CatalogueCommand
from images.families import listing
from images.management import projects
from images.models import Family


class Command(CatalogueCommand):
    help = "List families, a line for each: NAME PROJECT SCOPE CURRENT-VERSION."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--project", help="only the families of the project with this id or name"
        )
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        found = Family.objects.select_related("current").defer(*listing.LONG)
        found = found.order_by("name", "pk")
        if options["project"]:
            found = found.filter(owner=projects.owner_id(options["project"]))
        for family in found.iterator():
            current = family.current.label if family.current else None
            self.write_row(
                f"{family.name} {family.owner} {family.scope} {current or '-'}",
                id=str(family.pk),
                name=family.name,
                project=family.owner,
                scope=family.scope,
                architecture=family.architecture,
                current=current,
            )
