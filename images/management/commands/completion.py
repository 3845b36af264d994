"""The command that prints a shell script for completing commands and options."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

import shtab
from django.core.management import get_commands, load_command_class

from images.console import CatalogueCommand

SHELLS = ("bash", "zsh", "fish")
PROGRAM = "imagecatalog"
OURS = ("images", "imagecatalog")  # the apps with the commands of the catalogue
PATHS = ("FILE", "FOLDER", "PATH", "SOURCE")  # values that are files or folders


class Command(CatalogueCommand):
    help = (
        "Print the script that completes the commands of the catalogue and their options in a "
        "shell. It is made from the commands, so print it again after an upgrade."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("shell", choices=SHELLS, help="the shell")

    def handle(self, *args: Any, **options: Any) -> None:
        script = shtab.complete(_command_line(), options["shell"])
        self.stdout.write(script, style_func=str)  # no text of users is in it


def _command_line() -> ArgumentParser:
    """Return a parser for all commands of the catalogue; the shell script is made from it."""
    whole = ArgumentParser(prog=PROGRAM)
    commands = whole.add_subparsers(dest="command")
    for name, app in sorted(get_commands().items()):
        if app.startswith(OURS):
            command = load_command_class(app, name)
            parser = command.create_parser(PROGRAM, name)
            for action in parser._actions:
                if action.metavar in PATHS:
                    action.complete = shtab.FILE  # type: ignore[attr-defined]
            summary = command.help.partition(".")[0]
            commands.add_parser(name, parents=[parser], add_help=False, help=summary)
    return whole
