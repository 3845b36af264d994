"""Folders and commands for the tests of backups."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from django.core.management import call_command
from django.db import connection

from tests import servers

Make = Callable[..., Path]

# In one process: each verification makes a database on the server that all processes use.
MARKS = [
    pytest.mark.django_db(transaction=True),
    pytest.mark.xdist_group("backups"),
]


@pytest.fixture
def backups(tmp_path: Path) -> Path:
    """The folder of the backups, which does not exist yet."""
    return tmp_path / "backups"


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of PostgreSQL that belong to the server."""
    if connection.vendor == "postgresql":
        path = f"{servers.postgres_programs()}{os.pathsep}{os.environ['PATH']}"
        monkeypatch.setenv("PATH", path)


@pytest.fixture
def make_backup(backups: Path, capsys: pytest.CaptureFixture[str]) -> Make:
    """``make_backup("--with-bytes")``: the folder of a new backup."""

    def make(*options: str) -> Path:
        capsys.readouterr()  # of earlier commands
        call_command("backup", *options, to=str(backups))
        path, _, _ = capsys.readouterr().out.partition(": ")
        return Path(path)

    return make
