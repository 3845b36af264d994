"""The command that shows the limits of projects."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from images.console import CatalogueCommand
from images.management import projects
from images.models import QuotaLimit
from images.transfers import usage


class Command(CatalogueCommand):
    help = (
        "Show what a project has of its limits, sizes in MiB; without a project, list the "
        "limits of all projects that have their own."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", nargs="?", help="id or name of a project")
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        project = options["project"]
        if project is None:
            for limit in QuotaLimit.objects.order_by("project", "name"):
                self.write_row(
                    f"{limit.project} {limit.name}: {limit.value}",
                    project=limit.project,
                    name=limit.name,
                    limit=limit.value,
                )
            return
        project = projects.owner_id(project)
        for name, use in usage.in_units(project).items():
            most = "no limit" if use.limit < 0 else use.limit
            self.write_row(
                f"{name}: {use.used} of {most} ({use.source})",
                project=project,
                name=name,
                used=use.used,
                limit=use.limit,
                source=use.source,
            )
