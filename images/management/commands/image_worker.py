from __future__ import annotations

import logging
import signal
import threading
from argparse import ArgumentParser
from collections.abc import Callable
from typing import Any

from django.core.management.base import BaseCommand
from django.db import close_old_connections

from images import lifecycle

log = logging.getLogger(__name__)


class Command(BaseCommand):
    help = (
        "The background worker: ends what has died, deletes what is due. `serve` runs one; "
        "any number may run at once."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--interval", type=float, default=10.0, help="seconds between two rounds"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        stop = threading.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: stop.set())
        while not stop.is_set():
            for duty in (lifecycle.reap, lifecycle.scrub_due, lifecycle.sweep):
                _attempt(duty)
            stop.wait(options["interval"])


def _attempt(duty: Callable[[], object]) -> None:
    # One duty that fails, or a database that is away, must not end the others.
    try:
        close_old_connections()
        duty()
    except Exception:
        log.exception("%s failed; it is tried again in the next round", duty.__name__)
