"""A simulated reader of a page, who runs the blocks of the page in a folder of their own."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from tests import environments, servers
from tests.docs import shown, uses
from tests.docs.blocks import Block, Step
from tests.servers import ROOT

API = "http://127.0.0.1:9292"
MANAGEMENT = re.compile(r"--management (127\.0\.0\.1:\d+)")
SERVES = re.compile(r"\b(?:make run|(?:manage\.py|imagecatalog) serve)\b")
BRINGS_DATA = re.compile(r"\bimport\b|/import\b|/locations\b")

# Functions of each script.
PRELUDE = """
set -euo pipefail
settle() {
    for _ in $(seq 200); do
        curl -u "$ADMIN" "$SERVICE/v2/images?status=importing" | grep -q '"images": *\\[\\]' && return
        sleep 0.1
    done
    return 1
}
serving() { curl -q -k --fail --silent --retry 60 --retry-delay 1 --retry-all-errors --output /dev/null "$1/readyz"; }
working() { sleep 2; kill -0 $!; }
[ ! -e session ] || . ./session
"""


@dataclass
class Reader:
    """The reader of one page.

    ``folder`` is created, and looks like a checkout. ``texts`` replace texts of the page: text of the
    page -> text in the test.
    """

    folder: Path
    env: dict[str, str]
    texts: dict[str, str]
    terminal: int  # the standard input of the commands
    learned: dict[str, str] = field(default_factory=dict)  # from what was printed

    def __post_init__(self) -> None:
        environment, programs = self.folder / ".venv", self.folder / "bin"
        environment.mkdir(parents=True)
        for name in ("bin", "lib", "pyvenv.cfg"):
            (environment / name).symlink_to(Path(sys.prefix, name))
        for name in ("manage.py", "Makefile", "requirements.txt", "deploy"):
            (self.folder / name).symlink_to(ROOT / name)
        for state in ("made", "runtime"):  # so `make` installs nothing
            (environment / state).touch()
        programs.mkdir()
        program = programs / "imagecatalog"
        run = f'PYTHONPATH={ROOT} exec {sys.executable} -m imagecatalog "$@"'
        program.write_text(f"#!/bin/sh\n{run}\n")
        program.chmod(0o755)
        (self.folder / ".curlrc").write_text("fail-with-body\nsilent\nshow-error\n")
        path = f"{programs}:{environment}/bin:{os.environ['PATH']}"
        own = {"HOME": str(self.folder), "PATH": path}
        self.env = environments.environ() | self.env | own

    def follow(self, block: Block, image: str, before: str = "") -> None:
        """Run the commands that come before the block, then the block, whose ID is that of the image.

        Raises AssertionError if a command fails, or if it prints other text than the block shows.
        """
        steps = _steps(block)
        script = "\n".join(self._script(block, steps, image, before))
        code, output = self._bash(script)
        printed = [self._printed(number) for number in range(len(steps))]
        report = "\n".join([block.title, output, *printed])
        assert code == 0, report[-8000:]
        for step, text in zip(steps, printed, strict=True):
            if step.shown and uses.is_compared(block):
                expected = _replaced(step.shown, self.texts | _named(image))
                self.learned |= shown.values(expected, text)

    def _bash(self, script: str) -> tuple[int, str]:
        """The exit code and the output of a script, which gets SIGTERM after 300 seconds."""
        with subprocess.Popen(
            servers.dying_with_us(["/bin/bash", "-c", script], signal.SIGTERM),
            cwd=self.folder,
            env=self.env,
            stdin=self.terminal,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                output, _ = process.communicate(timeout=300)
            finally:
                process.terminate()
        return process.returncode, output

    def _script(
        self, block: Block, steps: list[Step], image: str, before: str
    ) -> Iterator[str]:
        texts = self.texts | self.learned | _named(image)
        address = ""
        if any(SERVES.search(step.command) for step in steps):
            address = f"127.0.0.1:{servers.free_port()}"
            texts |= _addresses(address)

        def here(text: str) -> str:
            return re.sub(r"(?<![\w-])ID…?(?!\w)", image, _replaced(text, texts))

        if block.language != "console":
            (self.folder / "block").write_text(here(block.text))
        yield PRELUDE
        yield here(before)
        if address:
            yield f"export OS_AUTH_URL=http://{address}/identity/v3"
        yield "set -x"
        for number, step in enumerate(steps):
            if step.shown and step.command.startswith("cat "):
                Path(here(step.command)[4:]).write_text(step.shown)
            yield from _run(step, here, f"printed.{number}", address)
            if "SERVICE" in self.env and BRINGS_DATA.search(step.command):
                yield "settle"
        yield "export -p >session"

    def _printed(self, number: int) -> str:
        path = self.folder / f"printed.{number}"
        text = path.read_text() if path.exists() else ""
        path.unlink(missing_ok=True)
        return text


def _steps(block: Block) -> list[Step]:
    """The steps of a block: its commands, or a command that tries text of another kind.

    A block that only exports settings is followed by a check of the settings.
    """
    if block.language != "console":
        return [Step(uses.TRIALS[block.language].format(file="block"), "")]
    steps = block.steps()
    if all(step.command.startswith("export ") for step in steps):
        steps.append(Step(".venv/bin/python manage.py check", ""))
    return steps


def _run(
    step: Step, here: Callable[[str], str], output: str, address: str
) -> Iterator[str]:
    serves = SERVES.search(step.command)
    if not serves and "image_worker" not in step.command:
        yield f"{{ {here(step.command)}\n}} >{output}"
        return
    command = here(_bound(step.command)) if serves else here(step.command)
    yield "set -m"  # a process group of its own
    yield f"{{ {command}\n}} >{output} 2>&1 &"
    yield "trap 'kill -TERM -- -$!; wait $! || true' EXIT"
    scheme = "https" if "--certfile" in command else "http"
    yield f"serving {scheme}://{address}" if serves else "working"
    if management := MANAGEMENT.search(command):
        yield f"serving http://{management[1]}"


def _bound(command: str) -> str:
    """A command that starts a service, with an address, which is replaced by a free one later."""
    if "--bind" in command:
        return command
    bind = f"--bind {API.removeprefix('http://')}"
    if "ARGS='" in command:
        return command.replace("ARGS='", f"ARGS='{bind} ")
    if "make run" in command:
        return command.replace("make run", f"make run ARGS='{bind}'")
    return command.replace(" serve", f" serve {bind}")


def _addresses(address: str) -> dict[str, str]:
    """Replacements for the addresses in a block that starts a service."""
    port = address.partition(":")[2]
    return {
        API: f"http://{address}",
        ":9292": f":{port}",
        "127.0.0.1:9293": f"127.0.0.1:{servers.free_port()}",
    }


def _named(image: str) -> dict[str, str]:
    """Replacements for the ids of an image that pages show."""
    names = ("7ce874a7-fa13-465c-93d6-0bea573df725", "7ce8…")
    return {"/ID/": f"/{image}/"} | dict.fromkeys(names, image)


def _replaced(text: str, texts: Mapping[str, str]) -> str:
    longest_first = sorted(texts, key=len, reverse=True)
    pattern = "|".join(map(re.escape, longest_first))
    return re.sub(pattern, lambda found: texts[found[0]], text)
