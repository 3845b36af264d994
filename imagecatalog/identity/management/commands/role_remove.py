from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand

from imagecatalog.identity import roles
from imagecatalog.identity.management import arguments


class Command(BaseCommand):
    help = (
        "Take a user's role in a project. Its tokens and application credentials for that "
        "project end with it; images stay with the project."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument("--project", required=True, help="its name or id")

    def handle(self, *args: Any, **options: Any) -> None:
        someone = arguments.user(options["user"])
        project = arguments.project(someone, options["project"])
        roles.take(someone.assignments.get(project=project), arguments.CONSOLE)
        self.stdout.write(f"{someone} has no role in project {project} any more.")
