"""The socket between `serve` and the web processes, see images.management.processes.

gunicorn and its web processes write to it while they run. `serve` closes it when the service stops.
Without `serve`, as with gunicorn alone, there is no socket, and these functions do nothing.
"""

from __future__ import annotations

import os
import select
from contextlib import suppress
from typing import Final

from images.management.processes import SUPERVISOR

DESCRIPTOR: Final = int(os.environ.get(SUPERVISOR, "-1"))
IS_SUPERVISED: Final = DESCRIPTOR >= 0


def report() -> None:
    """Tell `serve` that this process runs."""
    if IS_SUPERVISED:
        with suppress(OSError):  # `serve` has ended, or has not read for minutes
            os.write(DESCRIPTOR, b"1")


def wait_for_stop(seconds: float | None = None) -> None:
    """Wait until the service stops, and at most ``seconds`` if they are given."""
    if IS_SUPERVISED:
        select.select([DESCRIPTOR], [], [], seconds)
