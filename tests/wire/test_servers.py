"""The servers of the tests end with the process that started them, however that ends."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests import servers

# Starts one kind of server, says so, and waits until it is killed.
HELPER = """
import sys, time
from pathlib import Path
from tests import servers

kind, folder = sys.argv[1], Path(sys.argv[2])
start = {
    "catalogue": lambda: servers.catalogue(folder, workers=1),
    "nanio": lambda: servers.nanio(folder),
    "postgres": servers.postgres,
    "nginx": lambda: servers.nginx(folder, "http://127.0.0.1:1"),
}[kind]
try:
    with start():
        print("ready", flush=True)
        time.sleep(600)
except servers.Missing as missing:
    print(missing)
"""


@contextmanager
def helper(kind: str, folder: Path) -> Iterator[subprocess.Popen[str]]:
    command = [sys.executable, "-c", HELPER, kind, str(folder)]
    with subprocess.Popen(
        command, cwd=servers.ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            yield process
        finally:
            process.kill()


@pytest.mark.parametrize("kind", ["catalogue", "nanio", "postgres", "nginx"])
def test_a_killed_run_leaves_no_server(kind: str, tmp_path: Path) -> None:
    with helper(kind, tmp_path) as process:
        assert process.stdout
        said = process.stdout.readline().strip()
        if said != "ready":
            pytest.skip(said)
        family = psutil.Process(process.pid).children(recursive=True)
        assert family

    servers.wait_until(lambda: not any(map(runs, family)), f"the end of {kind}")


def runs(process: psutil.Process) -> bool:
    try:
        return process.is_running() and process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False
