"""What the commands about users share: finding them, and options of application credentials."""

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
    """The user of this name. Raises CommandError."""
    found = get_user_model().objects.filter(username=name).first()
    if found is None:
        raise CommandError(f"There is no user {name}. `user_list` shows all.")
    return found


def project(someone: Any, name: str | None) -> Project:
    """One of the user's projects, by name or id; without one the first. Raises CommandError."""
    held = [it.project for it in someone.assignments.select_related("project")]
    found = [it for it in held if name in (None, it.name, it.pk)]
    if not found:
        where = f"in a project {name}" if name else "in any project"
        others = ", ".join(it.name for it in held)
        hint = f"Its projects: {others}." if others else "`user_create` gives one."
        raise CommandError(f"{someone} has no role {where}. {hint}")
    return found[0]


def add_credential_options(parser: ArgumentParser) -> None:
    """The user, and ``--project``, ``--role``, ``--action`` and ``--expires`` of a credential."""
    parser.add_argument("user", help="the user's name")
    parser.add_argument("--project", help="its name or id; else the user's first one")
    parser.add_argument(
        "--role", choices=Role.values, help="less than the user's own role"
    )
    parser.add_argument(
        "--action",
        action="append",
        metavar="A",
        help="allow this action only, e.g. get_image; may be repeated",
    )
    parser.add_argument(
        "--expires",
        type=later,
        metavar="T",
        help=f"after which time it ends: {LATER} (default: never)",
    )


def make_credential(
    name: str, options: dict[str, Any]
) -> tuple[ApplicationCredential, str]:
    """A new application credential of the user, and its secret. Raises CommandError."""
    try:
        application_credentials.check_useful()  # or the user might be missed first
        someone = user(options["user"])
        row, secret = application_credentials.draft(
            someone,
            project(someone, options["project"]).pk,
            name,
            role=options["role"],
            actions=options["action"],
            expires_at=options["expires"],
        )
        application_credentials.store(row, CONSOLE)
    except errors.ImageError as error:
        raise CommandError(str(error)) from None
    return row, secret
