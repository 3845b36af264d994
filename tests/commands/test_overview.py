"""What ``imagecatalog`` prints without a command."""

from __future__ import annotations

import pytest
from django.core.management import get_commands, load_command_class
from django.core.management.base import DjangoHelpFormatter

from imagecatalog import command_line
from tests import servers

COMMON = {*DjangoHelpFormatter.show_last, "-v"}
OURS = ("images", "imagecatalog")


def test_the_overview_has_each_command_of_the_catalogue_once() -> None:
    shown = [name for names in command_line.GROUPS.values() for name in names]

    assert sorted(shown) == sorted(
        name for name, app in get_commands().items() if str(app).startswith(OURS)
    )


@pytest.mark.parametrize("words", [[], ["help"], ["--help"], ["-h"]])
def test_without_a_command_the_commands_are_listed(words: list[str]) -> None:
    done = servers.manage({}, *words)

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("Usage: manage.py COMMAND")
    assert "image_restore         restore images from the trash" in done.stdout
    assert "collectstatic" not in done.stdout


def test_the_commands_of_django_are_behind_a_word() -> None:
    listed = servers.manage({}, "django")
    explained = servers.manage({}, "django", "collectstatic", "--help")

    assert "collectstatic" in listed.stdout
    assert "--no-post-process" in explained.stdout


def test_each_line_of_the_overview_fits_a_terminal() -> None:
    assert max(map(len, command_line.overview("imagecatalog").splitlines())) <= 80


def test_what_a_command_does_begins_in_one_column() -> None:
    lines = command_line.overview("imagecatalog").splitlines()
    begins = {line.rfind("  ") for line in lines if line.startswith("  ")}

    assert len(begins) == 1


def test_the_documentation_names_each_command_with_json() -> None:
    text = (servers.ROOT / "docs/operations.md").read_text()
    _, _, named = text.partition("Lists have `--json`")
    named, _, _ = named.partition("Commands that")
    with_json = []
    for name in (name for names in command_line.GROUPS.values() for name in names):
        command = load_command_class(str(get_commands()[name]), name)
        if "--json" in command.create_parser("imagecatalog", name).format_usage():
            with_json.append(name)

    assert len(with_json) > 10
    assert [name for name in with_json if f"`{name}" not in named] == []


def test_help_lists_the_options_of_a_command_before_those_of_all_commands() -> None:
    late = []
    for name in (name for names in command_line.GROUPS.values() for name in names):
        command = load_command_class(str(get_commands()[name]), name)
        shown = command.create_parser("imagecatalog", name).format_help()
        _, _, options = shown.partition("\noptions:\n")
        names = [line.split()[0] for line in options.splitlines() if line[:3] == "  -"]
        last = names[names.index("--version") :]
        late += [f"{name} {it}" for it in last if it not in COMMON]

    assert late == []
