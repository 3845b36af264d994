"""The command that creates a user, or assigns a role to an existing one."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.contrib.auth import get_user_model
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db import transaction

from imagecatalog.identity import roles, sign_in_log, users
from imagecatalog.identity.management import arguments
from imagecatalog.identity.models import Project, Role
from images.console import CatalogueCommand


class Command(CatalogueCommand):
    help = (
        "Create a user, or assign another role in a project to an existing user. The project "
        "is created if it does not exist. The password of a new user is the value of the "
        "variable IMAGECATALOG_USER_PASSWORD, or else generated and printed once; "
        "`password_reset NAME` gives it a new one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the name of the user")
        parser.add_argument("--project", required=True, help="the name of the project")
        parser.add_argument(
            "--role",
            choices=Role.values,
            help="role in the project, which replaces the user's current role there (default: "
            "the current role, else member)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        with transaction.atomic():
            user = get_user_model().objects.filter(username=name).first()
            if user is None:
                user = self._create(name)
            elif settings.IMAGECATALOG_USER_PASSWORD:
                self.stdout.write(
                    f"{name} already exists and keeps its password. "
                    f"`password_reset {name}` gives it a new one."
                )
            project, _ = Project.objects.get_or_create(name=options["project"])
            self._assign(user, project, options["role"])

    def _assign(self, user: Any, project: Project, wanted: str | None) -> None:
        role, before = roles.give(user, project, wanted, arguments.CONSOLE)
        where = f"of project {project.name} (id {project.pk})"
        if role == before:
            self.stdout.write(f"{user} already is {role} {where}.")
            return
        replaced = f", and no longer {before}" if before else ""
        self.stdout.write(f"{user} is {role} {where}{replaced}.")

    def _create(self, name: str) -> Any:
        chosen = settings.IMAGECATALOG_USER_PASSWORD
        user = get_user_model()(username=name)
        try:
            user.full_clean(exclude=["password"])
            password = users.set_password(user, chosen)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        user.save(force_insert=True)
        sign_in_log.record("user_create", name, arguments.CONSOLE)
        if not chosen:
            self.stdout.write(f"Password of {name}: {password}")
        return user
