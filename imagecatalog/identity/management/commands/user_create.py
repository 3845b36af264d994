from __future__ import annotations

import os
import secrets
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction

from imagecatalog.identity import roles
from imagecatalog.identity.management import arguments
from imagecatalog.identity.models import Project, Role


class Command(BaseCommand):
    help = (
        "Make a user, or give an existing one another role in a project. The project is made "
        "when it does not exist. The password of a new user is taken from the variable "
        "IMAGECATALOG_USER_PASSWORD, or generated and printed once; `changepassword NAME` "
        "changes one."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="the user's name")
        parser.add_argument("--project", required=True, help="the project's name")
        parser.add_argument(
            "--role",
            choices=Role.values,
            help="what it may do there: reader, member or admin, in place of the role that it "
            "has (default: the role that it has, else member)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        name = options["name"]
        with transaction.atomic():
            user = get_user_model().objects.filter(username=name).first()
            if user is None:
                user = self._create(name)
            elif "IMAGECATALOG_USER_PASSWORD" in os.environ:
                self.stdout.write(
                    f"{name} exists already and keeps its password. "
                    f"`changepassword {name}` changes it."
                )
            project, _ = Project.objects.get_or_create(name=options["project"])
            self._assign(user, project, options["role"])

    def _assign(self, user: Any, project: Project, wanted: str | None) -> None:
        role, before = roles.give(user, project, wanted, arguments.CONSOLE)
        where = f"of project {project.name} (id {project.pk})"
        if role == before:
            self.stdout.write(f"{user} is {role} {where}, as before.")
            return
        instead = f", and no longer {before}" if before else ""
        self.stdout.write(f"{user} is {role} {where}{instead}.")

    def _create(self, name: str) -> Any:
        users = get_user_model()
        given = os.environ.get("IMAGECATALOG_USER_PASSWORD", "")
        password = given or secrets.token_urlsafe(12)
        try:
            user = users(username=name)
            user.full_clean(exclude=["password"])
            validate_password(password, user)
        except ValidationError as error:
            raise CommandError(" ".join(error.messages)) from None
        user.set_password(password)
        user.save(force_insert=True)
        if not given:
            self.stdout.write(f"Password of {name}: {password}")
        return user
