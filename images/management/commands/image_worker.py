from __future__ import annotations

import logging
import signal
import threading
import time
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections, connections

from imagecatalog.identity import pruning
from images import lifecycle, uploads
from images.console import count, positive
from images.management.copying import Copying
from images.operations import overview
from images.transfers import reaper

log = logging.getLogger(__name__)

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
HOUR = 3600.0  # seconds
PAUSE = 1.0  # seconds until it is looked again for what is to be copied
# They ask the database only: a store that hangs must not keep them waiting.
DUTIES = (reaper.end_expired, lifecycle.scrub_due, overview.recount)


class Command(BaseCommand):
    help = (
        "The background worker: ends what has died, deletes what is due, fetches what is to "
        "be copied from web addresses, makes images of uploads that are whole, and forgets "
        "sign-ins of long ago. `serve` runs one; any number may run at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--interval", type=positive, default=10.0, help="seconds between two rounds"
        )
        parser.add_argument(
            "--copies",
            type=count,
            default=4,
            help="images that are fetched at once, at most half of them for one project "
            "(default: %(default)s)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        # Waited for, not handled: of two that come together the handler of the second could
        # wait for a lock that the first holds.
        signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)
        stop = threading.Event()
        # These take long: what is due every few seconds does not wait for them.
        _beside(stop, uploads.finish_waiting, options["interval"])
        _beside(stop, lifecycle.remove_due, options["interval"])
        _beside(stop, pruning.prune, HOUR)
        copying, due, pause = Copying(options["copies"]), 0.0, 0.0
        while not signal.sigtimedwait(STOP_SIGNALS, pause):
            pause = min(PAUSE, options["interval"])
            _attempt(copying.begin)
            if time.monotonic() >= due:
                for duty in DUTIES:
                    _attempt(duty)
                due = time.monotonic() + options["interval"]
        stop.set()
        copying.stop()


def _beside(stop: threading.Event, duty: Callable[[], object], pause: float) -> None:
    """Repeat a duty in a thread of its own. Killed with the process it is begun again."""

    def repeat() -> None:
        while not stop.is_set():
            _attempt(duty)
            stop.wait(pause)
        connections.close_all()

    threading.Thread(target=repeat, daemon=True).start()


def _attempt(duty: Callable[[], object]) -> None:
    # One duty that fails, or a database that is away, must not end the others.
    try:
        close_old_connections()
        duty()
    except Exception:
        log.exception("%s failed; it is tried again in the next round", duty.__name__)
