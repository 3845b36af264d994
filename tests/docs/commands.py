"""The reference of the commands."""

from __future__ import annotations

import argparse
from collections.abc import Iterator

from django.core.management import get_commands, load_command_class
from django.core.management.base import BaseCommand, CommandParser

from imagecatalog.command_line import GROUPS
from tests.docs.tables import table

PROGRAM = "imagecatalog"
OF_ALL = {
    name
    for action in BaseCommand().create_parser(PROGRAM, "command")._actions
    for name in action.option_strings
}


def reference() -> str:
    """A section for each group of commands, with a heading for each command."""
    parts = []
    for group, names in GROUPS.items():
        parts.append(f"## {group}\n")
        parts += [_section(name) for name in names]
    return "\n".join(parts)


def _section(name: str) -> str:
    app = get_commands()[name]
    command = load_command_class(app, name)
    parser = command.create_parser(PROGRAM, name)
    own = [*_own(parser)]
    text = (
        f"### {name}\n\n```text\n{_usage(name, own)}\n```\n\n{_plain(command.help)}\n"
    )
    if own:
        rows = [(_names(one), _plain((one.help or "") % vars(one))) for one in own]
        text += "\n" + table(("Argument", "Meaning"), rows)
    return text


def _own(parser: CommandParser) -> Iterator[argparse.Action]:
    """The arguments of the command itself, without those that all commands have."""
    for action in parser._actions:
        if action.help != argparse.SUPPRESS and not OF_ALL & {*action.option_strings}:
            yield action


def _usage(name: str, actions: list[argparse.Action]) -> str:
    options = [a for a in actions if a.option_strings]
    places = [a for a in actions if not a.option_strings]
    words = [f"{PROGRAM} {name}", *(["[OPTION…]"] if options else [])]
    words += [_place(action) for action in places]
    return " ".join(words)


def _place(action: argparse.Action) -> str:
    name = str(action.metavar or action.dest.upper())
    return {"*": f"[{name}…]", "+": f"{name}…", "?": f"[{name}]"}.get(
        str(action.nargs), name
    )


def _names(action: argparse.Action) -> str:
    if not action.option_strings:
        return f"`{_place(action)}`"
    choices = "\\|".join(map(str, action.choices or ()))
    value = str(action.metavar or choices or action.dest.upper())
    shown = "" if action.nargs == 0 else f" {value}"
    return ", ".join(f"`{name}{shown}`" for name in action.option_strings)


def _plain(text: str) -> str:
    return " ".join(text.replace("|", "\\|").split())
