"""The command that lists users and their roles."""

from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model

from images.console import CatalogueCommand, say


class Command(CatalogueCommand):
    help = "List users and their roles in projects."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects.prefetch_related("assignments__project")
        for user in users.order_by("username"):
            roles = [
                f"{assignment.role} of {assignment.project} ({assignment.project_id})"
                for assignment in user.assignments.all()
            ]
            state = "" if user.is_active else " (disabled)"
            summary = ", ".join(roles) or "no role"
            say(self.stdout, f"{user.get_username()}{state}: {summary}")
