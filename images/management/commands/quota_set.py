"""The command that sets a limit of a project."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import CommandError

from images import errors
from images.console import CatalogueCommand, say
from images.management import projects
from images.transfers import limits
from images.units import parse_number, parse_size


class Command(CatalogueCommand):
    help = (
        "Set a limit of a project. What the project has stays, also above a new limit; only "
        "growth is refused."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("project", help="id or name of a project")
        parser.add_argument(
            "name", choices=sorted(limits.UNITS), help="name of a limit"
        )
        parser.add_argument(
            "value",
            help="MiB (or, for example, 500GB) or a number of images; 'unlimited', or "
            "'default' for the limit that the settings give",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        project, name = projects.owner_id(options["project"]), options["name"]
        try:
            value = _value(name, options["value"])
            limits.set_own(project, {name: value})
        except (ValueError, errors.Invalid, errors.Conflict) as error:
            raise CommandError(str(error)) from None
        say(self.stdout, f"{name} of {project}: {options['value']}")


def _value(name: str, text: str) -> int | None:
    if text in ("default", "unlimited"):
        return None if text == "default" else -1
    if text.isascii() and text.isdecimal():
        return parse_number(text)
    if limits.UNITS[name] == 1:
        raise ValueError(f"{text!r} is not a number of images.")
    return parse_size(text) // limits.UNITS[name]
