"""The base of commands that change a family: dry run, reason, and a line for each changed image."""

from __future__ import annotations

from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from images import access, families
from images.access import Caller, operator
from images.console import CatalogueCommand, command_errors
from images.families import ImageChange, Outcome
from images.models import Family
from images.units import counted

REF_HELP = "id or name of a family"


class FamilyCommand(CatalogueCommand):
    """The base class of commands that change a family."""

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Add the options of all commands that change a family: --dry-run, --reason and --json."""
        parser.add_argument(
            "--dry-run",
            action="store_true",
            help="check everything and list the images that would change; change nothing",
        )
        parser.add_argument(
            "--reason",
            default="",
            help="reason, recorded in the histories of the family and its images",
        )
        self.add_json_option(parser)

    def change(
        self, operation: Callable[[Caller], Outcome], options: dict[str, Any]
    ) -> None:
        """Run an operation on a family, and print the changes. Raises CommandError if it is refused."""
        dry_run = options["dry_run"]
        with command_errors(), families.dry_run(dry_run):
            outcome = operation(operator("command"))
        for change in outcome.images:
            self.write_row(_line(change), image=change.image, **_facts(change))
        done = "would be changed" if dry_run else "changed"
        current = outcome.family.current
        self.write_summary(
            f"Family {outcome.family.name}, current version "
            f"{current.label if current else 'none'}: "
            f"{counted(len(outcome.images), 'image')} {done}."
        )


def find(ref: str) -> Family:
    """Return the family with an id or a name. Raises CommandError if there is none, or several."""
    with command_errors():
        return access.get_family(operator("command"), ref)


def _line(change: ImageChange) -> str:
    parts = (
        f"{name} {_shown(before)} -> {_shown(after)}"
        for name, (before, after) in change.changes.items()
    )
    return f"{change.image}: {', '.join(parts)}"


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return "none" if value is None else repr(value)


def _facts(change: ImageChange) -> dict[str, Any]:
    changes = {
        name: {"before": before, "after": after}
        for name, (before, after) in change.changes.items()
    }
    return {"changes": changes}
