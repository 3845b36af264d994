"""What a command does whose output nobody reads any more, as in ``image_status | head -1``."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.servers import ROOT, make_database


@pytest.fixture(scope="module")
def env(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """The environment of an empty catalogue."""
    folder: Path = tmp_path_factory.mktemp("data")
    env = os.environ | {"IMAGECATALOG_DATA_DIR": str(folder)}
    env.pop("DATABASE_URL", None)
    make_database(folder)
    return env


@pytest.mark.slow
@pytest.mark.parametrize(
    ("unbuffered", "words"),
    [
        ("", ["image_status"]),
        ("1", ["image_status"]),
        ("", ["--help"]),
        ("1", ["--version"]),
        ("", ["serve", "--help"]),
    ],
)
def test_a_command_ends_quietly_when_its_reader_goes(
    env: dict[str, str], unbuffered: str, words: list[str]
) -> None:
    read_end, write_end = os.pipe()
    os.close(read_end)
    with os.fdopen(write_end, "wb") as nobody:
        done = subprocess.run(
            [sys.executable, "manage.py", *words],
            cwd=ROOT,
            env=env | {"PYTHONUNBUFFERED": unbuffered},
            stdout=nobody,
            stderr=subprocess.PIPE,
            text=True,
        )

    assert (done.returncode, done.stderr) == (128 + signal.SIGPIPE, "")
