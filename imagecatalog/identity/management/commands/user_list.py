from __future__ import annotations

from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import BaseCommand


class Command(BaseCommand):
    help = "List users with their roles in projects."

    def handle(self, *args: Any, **options: Any) -> None:
        users = get_user_model().objects.prefetch_related("assignments__project")
        for user in users.order_by("username"):
            roles = [
                f"{it.role} of {it.project} ({it.project_id})"
                for it in user.assignments.all()
            ]
            state = "" if user.is_active else " (disabled)"
            held = ", ".join(roles) or "no role"
            self.stdout.write(f"{user.get_username()}{state}: {held}")
