"""The command that lists users and their roles."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model

from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = "List users and their roles in projects."

    def add_arguments(self, parser: ArgumentParser) -> None:
        self.add_json_option(parser)

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects.prefetch_related("assignments__project")
        for user in users.order_by("username"):
            assignments = user.assignments.all()
            roles = [
                f"{assignment.role} of {assignment.project} ({assignment.project_id})"
                for assignment in assignments
            ]
            state = "" if user.is_active else " (disabled)"
            summary = ", ".join(roles) or "no role"
            self.write_row(
                f"{user.get_username()}{state}: {summary}",
                id=user.pk,
                name=user.get_username(),
                enabled=user.is_active,
                roles=[
                    {
                        "role": assignment.role,
                        "project_id": assignment.project_id,
                        "project": assignment.project.name,
                    }
                    for assignment in assignments
                ],
            )
