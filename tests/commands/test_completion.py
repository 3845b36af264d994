"""The scripts that complete the command line, in the shells that they are for."""

from __future__ import annotations

import shutil
import subprocess
from io import StringIO
from pathlib import Path

import pytest
from django.core.management import call_command

from images.management.commands.completion import SHELLS

# What bash would do for the words of a command line, of which the last one is completed.
COMPLETE = """
source "$1"; shift
COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1))
$(complete -p imagecatalog | sed "s/.*-F \\([^ ]*\\) .*/\\1/") "$1" "${!#}" "${COMP_WORDS[-2]}"
printf "%s\\n" "${COMPREPLY[@]}"
"""


@pytest.fixture
def script(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    shell = request.param
    if not shutil.which(shell):
        pytest.skip(f"{shell} is not installed")
    out = StringIO()
    call_command("completion", shell, stdout=out)
    path = tmp_path / f"completion.{shell}"
    path.write_text(out.getvalue())
    return path


@pytest.mark.parametrize("script", SHELLS, indirect=True)
def test_the_shell_understands_its_script(script: Path) -> None:
    shell = script.suffix.removeprefix(".")
    done = subprocess.run([shell, "-n", script], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert "image_verify" in script.read_text()
    assert "collectstatic" not in script.read_text()


@pytest.mark.parametrize("script", ["bash"], indirect=True)
@pytest.mark.parametrize(
    ("words", "completed"),
    [
        (["image_ver"], ["image_verify"]),
        (["user_"], ["user_create", "user_delete", "user_disable", "user_enable"]),
        (["image_verify", "--older"], ["--older-than"]),
        (["image_import", "--visibility", "pri"], ["private"]),
        (["metadefs_load", "/etc/passw"], ["/etc/passwd"]),
    ],
)
def test_bash_completes_commands_options_and_files(
    script: Path, words: list[str], completed: list[str]
) -> None:
    command = ["bash", "-c", COMPLETE, "bash", script, "imagecatalog", *words]
    done = subprocess.run(command, capture_output=True, text=True)

    assert set(completed) <= set(done.stdout.split()), done.stderr
