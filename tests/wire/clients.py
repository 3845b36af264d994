"""Run the commands of OpenStack clients, each in a fork of a process that has loaded them.

Loading takes most of the time of a short command. A fork is as fresh as a new process: it
runs the function that the installed script runs, with its own arguments and environment.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping
from importlib.metadata import entry_points
from pathlib import Path

from tests import servers

PROGRAMS = ("openstack", "glance")
# What the programs import only when a command needs it.
LATE = (
    "glanceclient.v1.client",
    "glanceclient.v1.shell",
    "glanceclient.v2.client",
    "glanceclient.v2.shell",
    "keystoneauth1.loading",
    "openstack.connection",
    "openstackclient.identity.client",
    "openstackclient.identity.v3.application_credential",
    "openstackclient.identity.v3.token",
    "openstackclient.image.client",
    "openstackclient.image.v2.image",
)


class Clients:
    """The process that has the programs loaded."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self._process = process
        self._folder = folder

    def run(
        self,
        program: str,
        *words: str | Path,
        env: Mapping[str, str],
        stdin: str = os.devnull,
    ) -> subprocess.CompletedProcess[str]:
        """Run one command to its end. ``env`` is the whole environment; ``stdin`` a path."""
        streams = [stdin, *(str(self._folder / name) for name in ("out", "err"))]
        command = [program, *map(str, words)]
        order = {"command": command, "env": dict(env), "streams": streams}
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        code = int(self._process.stdout.readline())
        out, err = (Path(stream).read_text() for stream in streams[1:])
        return subprocess.CompletedProcess(command, code, out, err)


@contextlib.contextmanager
def loaded() -> Iterator[Clients]:
    """Load the programs; what ``Clients.run`` starts ends before it returns."""
    pipe = subprocess.PIPE
    command = [sys.executable, "-m", "tests.wire.clients"]
    with (
        tempfile.TemporaryDirectory(prefix="clients-") as folder,
        subprocess.Popen(
            command, cwd=servers.ROOT, stdin=pipe, stdout=pipe, text=True
        ) as process,
    ):
        yield Clients(process, Path(folder))
        assert process.stdin
        process.stdin.close()


def serve() -> None:
    """Run one command for each line of standard input; print its exit code."""
    scripts = entry_points(group="console_scripts")
    sys.argv = ["openstack"]  # the client takes its name from here when it is loaded
    programs = {name: scripts[name].load() for name in PROGRAMS}
    for name in LATE:
        importlib.import_module(name)
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            _become(order)
            sys.exit(programs[order["command"][0]]())
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


def _become(order: dict[str, object]) -> None:
    """Take arguments, environment and the three standard streams from the order."""
    sys.argv = order["command"]
    os.environ.clear()
    os.environ.update(order["env"])
    flags = (os.O_RDONLY, *[os.O_WRONLY | os.O_CREAT | os.O_TRUNC] * 2)
    for number, (path, flag) in enumerate(zip(order["streams"], flags, strict=True)):
        opened = os.open(path, flag, 0o600)
        os.dup2(opened, number)
        os.close(opened)


if __name__ == "__main__":
    serve()
