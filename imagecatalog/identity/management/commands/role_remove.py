"""The command that removes a user's role in a project."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from imagecatalog.identity import roles
from imagecatalog.identity.management import arguments
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Remove a user's role in a project. The user's application credentials for this "
        "project are deleted and its tokens for it become invalid; images stay with the project."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("user", help="the user's name")
        parser.add_argument(
            "--project", required=True, help="name or id of the project"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        account = arguments.user(options["user"])
        project = arguments.project(account, options["project"])
        roles.take(account.assignments.get(project=project), arguments.CONSOLE)
        self.stdout.write(f"{account} no longer has a role in project {project}.")
