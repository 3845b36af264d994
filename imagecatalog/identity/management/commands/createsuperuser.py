"""Django's command `createsuperuser`, which here also gives the user a role for the APIs."""

from __future__ import annotations

import os
from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.management.commands import createsuperuser
from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import CommandError
from django.db.models.signals import post_save

from imagecatalog.identity import roles
from imagecatalog.identity.management import arguments
from imagecatalog.identity.models import Project, Role
from images.console import CatalogueCommand

PASSWORD = "DJANGO_SUPERUSER_PASSWORD"


class Command(CatalogueCommand, createsuperuser.Command):
    help = (
        "Create a user who can do anything, in the browser admin and in the APIs: a superuser "
        "with the role admin in a project. Asks for name, e-mail address and password; with "
        "--noinput they come from the variables DJANGO_SUPERUSER_USERNAME, _EMAIL and _PASSWORD. "
        "`user_create` creates other users."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        super().add_arguments(parser)  # type: ignore[arg-type]
        parser.add_argument(
            "--project",
            default="admin",
            help="the name of the project in which the user gets the role admin; it is created "
            "if it does not exist (default: admin)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["interactive"]:
            _refuse_weak(os.environ.get(PASSWORD))

        def make_admin(instance: Any, created: bool, **facts: Any) -> None:
            if created:
                project, _ = Project.objects.get_or_create(name=options["project"])
                roles.give(instance, project, Role.ADMIN, arguments.CONSOLE)

        # Only Django's command knows the name of the user, which it asks for.
        post_save.connect(make_admin, sender=get_user_model())
        try:
            super().handle(*args, **options)
        finally:
            post_save.disconnect(make_admin, sender=get_user_model())


def _refuse_weak(password: str | None) -> None:
    """Raise CommandError if a password can be guessed: Django's command would accept it."""
    if password is None:
        return
    try:
        validate_password(password)
    except ValidationError as error:
        raise CommandError(f"{PASSWORD}: {' '.join(error.messages)}") from None
