"""Background workers in processes of their own, which tests kill and stop.

A module that is run so changes what the worker does, and calls ``serve``.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from django.conf import settings
from django.db import connection

from images.jobs import worker
from tests.servers import ROOT


@contextmanager
def running(module: str) -> Iterator[subprocess.Popen[bytes]]:
    """Run a module on the database, the data folder and the stores of the test; yields its process."""
    command = [sys.executable, "-m", module, str(connection.settings_dict["NAME"])]
    env = {
        **os.environ,
        "IMAGECATALOG_DATA_DIR": str(settings.IMAGECATALOG_DATA_DIR),
        "IMAGECATALOG_STORES": settings.IMAGECATALOG_STORES,
    }
    process = subprocess.Popen(command, cwd=ROOT, env=env)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def serve() -> None:
    """Be a background worker on the database that the command names, until a signal ends it."""
    connection.settings_dict["NAME"] = sys.argv[1]
    worker.run(interval=0.2, downloads=1, jobs=2)
