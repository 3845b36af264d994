"""What users can put into a name controls no terminal of an operator."""

from __future__ import annotations

from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth import get_user_model
from django.core.management import call_command, get_commands, load_command_class
from django.core.management.base import CommandError

from imagecatalog.identity.models import ApplicationCredential, Project
from images import lifecycle
from images.access import Caller
from images.console import CatalogueCommand

pytestmark = pytest.mark.django_db

EVIL = "a\x1b]0;title\x07\x1b[2J\rb\nforged: done\u202e"


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


def shown(*command: str) -> str:
    out = Terminal()
    try:
        call_command(*command, stdout=out, stderr=out, no_color=True)
    except CommandError as error:
        out.write(str(error))
    return out.getvalue()


@pytest.mark.parametrize(
    "command",
    [
        "image_status {image}",
        "image_status {image} --json",
        "image_import {source} --dry-run",
        "credential_list",
        "user_list",
    ],
)
def test_a_name_is_shown_with_its_control_characters_escaped(
    command: str, make_image: Any, member: Caller, tmp_path: Path
) -> None:
    image = make_image("active", name=EVIL)
    lifecycle.deactivate(image.pk, member, EVIL)
    lifecycle.reactivate(image.pk, member, EVIL)
    user = get_user_model().objects.create_user("eve")
    project = Project.objects.create(name=EVIL)
    ApplicationCredential.objects.create(
        id="c" * 32, name=EVIL, user=user, project=project, role="member"
    )
    user.assignments.create(project=project, role="member")
    source = tmp_path / EVIL.replace("/", "")
    source.write_bytes(b"data")

    words = command.format(image=image.pk, source="{source}")
    said = shown(*(str(source) if it == "{source}" else it for it in words.split()))

    assert r"\x1b" in said or r"\u001b" in said
    assert all(line.isprintable() for line in said.split("\n"))
    assert not any(line.startswith("forged") for line in said.split("\n"))


def test_every_command_of_ours_writes_safely() -> None:
    ours = [
        load_command_class(app, name)
        for name, app in get_commands().items()
        if app in ("images", "imagecatalog.identity") and name != "migrate"
    ]

    assert len(ours) > 10
    assert all(isinstance(command, CatalogueCommand) for command in ours)


class Failing(CatalogueCommand):
    requires_system_checks = ()

    def handle(self, *args: Any, **options: Any) -> None:
        self.stderr.write("\x1b[2J")


def test_the_colour_of_an_error_stays() -> None:
    out = Terminal()

    call_command(Failing(stderr=out, force_color=True))

    assert out.getvalue() == "\x1b[31;1m\\x1b[2J\n\x1b[0m"
