"""Messages to systemd, or another service manager that has started `serve`, see sd_notify(3).

Without a service manager that expects messages, nothing is sent.
"""

from __future__ import annotations

import logging
import os
import time

from gunicorn import systemd  # type: ignore[import-untyped]

log = logging.getLogger(__name__)


def report_start(status: str) -> None:
    """Report ``status``, a sentence on what the service does before it is ready."""
    _send(f"STATUS={status}")


def report_ready(status: str) -> None:
    """Report that the service is ready after its start or a reload; ``status`` is a sentence on it.

    A reload that has failed also ends with this report.
    """
    _send("READY=1", f"STATUS={status}")


def report_reload(status: str) -> None:
    """Report that a reload begins; ``status`` is a sentence on it for operators."""
    now = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
    _send("RELOADING=1", f"MONOTONIC_USEC={now}", f"STATUS={status}")


def report_stop(status: str) -> None:
    """Report that the service stops; ``status`` is a sentence on it for operators."""
    _send("STOPPING=1", f"STATUS={status}")


def feed_watchdog() -> None:
    """Tell the watchdog, if there is one, that the service runs. Call this every second."""
    if os.environ.get("WATCHDOG_USEC"):
        _send("WATCHDOG=1")


def _send(*lines: str) -> None:
    systemd.sd_notify("\n".join(lines), log)
