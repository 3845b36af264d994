"""A gunicorn that is configured as in production, without `serve` around it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests import servers

CONFIG = "python:imagecatalog.server"
TINY_SERVICE = "tests.wire.tiny_service"


@dataclass(frozen=True)
class Server:
    """A running gunicorn."""

    process: subprocess.Popen[bytes]
    port: int
    log: Path

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=60)


@contextlib.contextmanager
def gunicorn(
    folder: Path,
    *options: str | Path,
    config: str | Path = CONFIG,
    workers: int = 1,
    stop: signal.Signals = signal.SIGTERM,
    **settings: str,
) -> Iterator[Server]:
    """Run gunicorn with these settings in the environment, and end it with the signal ``stop``.

    Yields it when its web processes have been forked.
    """
    port = servers.free_port()
    log = folder / f"{port}.log"
    command = [sys.executable, "-m", "gunicorn", "-c", config]
    command += ["--workers", str(workers), "--bind", f"127.0.0.1:{port}", *options]
    env = os.environ | {"IMAGECATALOG_DATA_DIR": str(folder)} | settings
    with servers.running(command, env, log, stop) as process:
        servers.wait_until(
            lambda: log.read_text().count("Booting worker") == workers,
            "gunicorn",
            process=process,
            log=log,
        )
        yield Server(process, port, log)
