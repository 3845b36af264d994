"""Helpers of commands: look-ups of users and projects, and the arguments of a new credential."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management.base import CommandError

from imagecatalog.identity import application_credentials
from imagecatalog.identity.models import ApplicationCredential, Project, Role
from imagecatalog.identity.origin import Origin
from images import errors
from images.console import LATER, later

CONSOLE = Origin("console")


def user(name: str) -> Any:
    """Return the user with this name. Raises CommandError if there is none."""
    row = get_user_model().objects.filter(username=name).first()
    if row is None:
        raise CommandError(f"There is no user {name}. `user_list` shows all.")
    return row


def project(account: Any, name: str | None) -> Project:
    """Return the project with this name or id, in which the user ``account`` has a role.

    If ``name`` is None, returns the user's first project. Raises CommandError if there is no such
    project.
    """
    assignments = account.assignments.select_related("project")
    projects: list[Project] = [assignment.project for assignment in assignments]
    matching = [row for row in projects if name in (None, row.name, row.pk)]
    if not matching:
        where = f"in a project {name}" if name else "in any project"
        names = ", ".join(row.name for row in projects)
        hint = (
            f"The user's projects: {names}." if names else "Assign one: `user_create`."
        )
        raise CommandError(f"{account} has no role {where}. {hint}")
    return matching[0]


def add_credential_options(parser: ArgumentParser) -> None:
    """Add the arguments of a new credential: user, --project, --role, --action, --expires."""
    parser.add_argument("user", help="the user's name")
    parser.add_argument(
        "--project", help="name or id of the project; default: the user's first project"
    )
    parser.add_argument(
        "--role",
        choices=Role.values,
        help="a role that the user's role includes (default: the user's role)",
    )
    parser.add_argument(
        "--action",
        action="append",
        metavar="A",
        help="allow only this action, for example get_image; can be repeated",
    )
    parser.add_argument(
        "--expires",
        type=later,
        metavar="T",
        help=f"time until the credential expires: {LATER} (default: never)",
    )


def make_credential(
    name: str, options: dict[str, Any]
) -> tuple[ApplicationCredential, str]:
    """Create and store an application credential with a command's options; return it and its secret.

    The options are those of ``add_credential_options``. Raises CommandError if the credential
    cannot be created.
    """
    try:
        application_credentials.check_useful()  # first, because the user may not exist in these modes
        account = user(options["user"])
        row, secret = application_credentials.draft(
            account,
            project(account, options["project"]).pk,
            name,
            role=options["role"],
            actions=options["action"],
            expires_at=options["expires"],
        )
        application_credentials.store(row, CONSOLE)
    except errors.ImageError as error:
        raise CommandError(str(error)) from None
    return row, secret
