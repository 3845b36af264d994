"""Execution of external programs on the data of users, with limits on their resources."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

from images import errors

POLL_SECONDS = 0.5
MOST_OUTPUT = 1 << 20  # bytes
FEW_FILES = 64
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "LC_ALL": "C",
    # Otherwise each thread reserves scarce address space for a heap of its own.
    "MALLOC_ARENA_MAX": "1",
}
# Runs in the child before the program, which ends with its parent, gains no rights, dumps no core.
_LAUNCHER = """
import ctypes, os, resource, signal, sys
memory, cpu, size, files = map(int, sys.argv[1:5])
for name, limit in (("AS", memory), ("CPU", cpu), ("FSIZE", size), ("NOFILE", files), ("CORE", 0)):
    resource.setrlimit(getattr(resource, "RLIMIT_" + name), (limit, limit))
libc = ctypes.CDLL(None)
libc.prctl(1, signal.SIGKILL)
libc.prctl(38, 1, 0, 0, 0)
os.execvp(sys.argv[5], sys.argv[5:])
"""


class Limits(NamedTuple):
    """The limits on the resources of a program, which the kernel enforces."""

    memory: int  # bytes of address space
    cpu: int  # seconds
    size: int  # bytes of one file that it writes


class ProgramFailed(errors.ImageError):
    """The error for an external program that has failed, or has exceeded its limits."""

    code = "program-failed"


def run(
    command: Sequence[str],
    limits: Limits,
    check: Callable[[], None],
    files: Sequence[int] = (),
) -> bytes:
    """Run an external program with limits, and return its output; ``files`` are open files for it.

    ``check`` is called twice a second; the program is killed when it raises. Raises
    ProgramFailed, with the first line of the output, if the program fails, and the errors of
    ``check``.
    """
    numbers = map(str, (limits.memory, limits.cpu, limits.size, FEW_FILES))
    with tempfile.TemporaryFile() as printed:
        with subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", _LAUNCHER, *numbers, *command],
            cwd="/",
            env=ENVIRONMENT,
            stdin=subprocess.DEVNULL,
            stdout=printed,
            stderr=subprocess.STDOUT,
            pass_fds=files,
        ) as process:
            try:
                code = _waited(process, check)
            except BaseException:
                process.kill()
                raise
        printed.seek(0)
        output = printed.read(MOST_OUTPUT)
    if code:
        raise ProgramFailed(_failure(command[0], code, output))
    return output


def _waited(process: subprocess.Popen[bytes], check: Callable[[], None]) -> int:
    while True:
        check()
        try:
            return process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            continue


def _failure(program: str, code: int, output: bytes) -> str:
    if code < 0:
        return f"{program} was ended, because it needed too much time or memory."
    first = output.decode(errors="replace").strip().partition("\n")[0]
    return f"{program} failed: {first[:200] or f'exit code {code}'}."
