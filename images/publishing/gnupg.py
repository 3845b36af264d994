"""Runs of GnuPG in a temporary home, and the keys in it.

See https://www.gnupg.org/documentation/manuals/gnupg/.
"""

from __future__ import annotations

import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from images.publishing import SigningError

TIMEOUT: Final = 60.0  # seconds, for each run
# The empty passphrase is for keys that have none: nobody is there to type one.
OPTIONS: Final = (
    *("--batch", "--no-tty", "--quiet", "--yes"),
    *("--pinentry-mode", "loopback", "--passphrase", ""),
    *("--trust-model", "always", "--no-auto-check-trustdb"),
)
FAULTS: Final = {"d": "is disabled", "e": "has expired", "r": "is revoked"}

# The parent of gpg-agent. Without it the agent would become a child of process 1, which in a container
# does not wait for it, and a copy of the key would remain if this process was killed.
_KEEPER: Final = """
import os, shutil, subprocess, sys
print("ready", flush=True)
sys.stdin.read()
try:
    subprocess.run(["gpgconf", "--homedir", sys.argv[1], "--kill", "all"])
finally:
    shutil.rmtree(sys.argv[1], ignore_errors=True)
os.wait()
"""


class Key(NamedTuple):
    """A secret key, and what is wrong with it (``""``: it can sign)."""

    fingerprint: str  # 40 digits in hex
    user: str  # "Name <mail>"
    fault: str


@contextmanager
def temporary_home() -> Iterator[Path]:
    """A context manager that yields a temporary home folder of GnuPG, in which gpg-agent runs.

    At the end of the context the agent is stopped and the folder removed. Raises SigningError if
    the agent does not start.
    """
    try:
        home = tempfile.mkdtemp(prefix="imagecatalog-gpg-")  # of mode 0700
    except OSError as error:
        raise SigningError(
            f"No temporary folder can be made for GnuPG: {error.strerror}. Name a folder that the "
            "service can write in the variable TMPDIR."
        ) from error
    try:
        with _agent(home) as process:
            _await_agent(process)
            yield Path(home)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def _agent(home: str) -> Iterator[subprocess.Popen[bytes]]:
    """A context manager that starts gpg-agent in the folder ``home``, and stops it at the end.

    Yields the parent process of the agent, which stops the agent and removes the folder. The agent
    is perhaps not ready yet: see ``_await_agent``. Raises SigningError if gpg-agent cannot be run.
    """
    keeper = (sys.executable, "-I", "-S", "-c", _KEEPER, home)
    try:
        # In a session of its own, a Ctrl-C does not end the keeper before its work is done.
        process = subprocess.Popen(
            ["gpg-agent", "--homedir", home, "--daemon", *keeper],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
    except OSError as error:
        raise SigningError(f"gpg-agent cannot be run: {error.strerror}.") from error
    with process:
        try:
            yield process
        finally:
            try:
                process.communicate(timeout=TIMEOUT)
            except subprocess.TimeoutExpired:
                process.kill()


def _await_agent(process: subprocess.Popen[bytes]) -> None:
    """Wait until the agent runs. Raises SigningError if it does not, or takes too long."""
    assert process.stdout is not None
    ready, _, _ = select.select([process.stdout], [], [], TIMEOUT)
    if not (ready and process.stdout.readline()):
        raise SigningError(
            "gpg-agent does not start. Look whether the folder for temporary files has space and "
            f"a short path: {tempfile.gettempdir()}."
        )


def secret_keys(home: Path) -> list[Key]:
    """Return the secret keys in a home folder of GnuPG. Raises SigningError if gpg fails.

    The format of gpg's output is described in doc/DETAILS in the sources of GnuPG.
    """
    listing = run(home, "--with-colons", "--list-secret-keys").decode(errors="replace")
    keys: list[Key] = []
    fault = ""
    wanted = ""  # the next record of the key
    for line in listing.splitlines():
        record, *fields = line.split(":")
        if record == "sec":
            fault = FAULTS.get(fields[0], "" if "S" in fields[10] else "cannot sign")
            wanted = "fpr"
        elif record == wanted == "fpr":
            keys.append(Key(fields[8], "", fault))
            wanted = "uid"
        elif record == wanted == "uid":
            keys[-1] = keys[-1]._replace(user=fields[8].replace(r"\x3a", ":"))
            wanted = ""
    return keys


def run(home: Path, *arguments: str, data: bytes = b"") -> bytes:
    """Run gpg in a home with ``data`` as its input, and return its output.

    Raises SigningError if gpg is missing, fails or takes too long.
    """
    try:
        done = subprocess.run(
            ["gpg", "--homedir", str(home), *OPTIONS, *arguments],
            input=data,
            capture_output=True,
            timeout=TIMEOUT,
            env={**os.environ, "LC_ALL": "C.UTF-8"},
        )
    except subprocess.TimeoutExpired:
        raise SigningError(
            f"gpg has not ended within {TIMEOUT:.0f} seconds. Look whether the machine is "
            "overloaded, and try again."
        ) from None
    except OSError as error:
        raise SigningError(f"gpg cannot be run: {error.strerror}.") from error
    if done.returncode:
        raise SigningError(_sentence(done.stderr.decode(errors="replace")))
    return done.stdout


def _sentence(complaint: str) -> str:
    """Return what gpg's complaint means for operators, and what to do."""
    if "passphrase" in complaint or "pinentry" in complaint:
        return (
            "The key has a passphrase, which nobody is there to type. Remove it (gpg "
            "--change-passphrase KEY), export the key again, and keep its folder private."
        )
    last = complaint.strip().splitlines()[-1:] or ["it gives no reason"]
    reason = last[0].removeprefix("gpg: ").rstrip(".")
    return f"gpg has failed: {reason}. Try the key with `gpg --sign`."
