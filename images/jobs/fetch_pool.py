"""Copies from web addresses, several at once, in threads of the background worker."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connections

from images import errors
from images.imports import web_download

log = logging.getLogger(__name__)


class FetchPool:
    """Fetches what waits, ``at_once`` of it, until it is told to stop.

    A copy may take hours, and the owner of many must leave places to others who come later.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._each = (at_once + 1) // 2  # for one owner at most
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="copy")
        self._running: dict[UUID, str] = {}  # with their owners
        self._stopping = threading.Event()

    def begin(self) -> None:
        """Begin with what waits, as far as threads are free for its owner."""
        for _ in range(self._at_once - len(self._running)):
            waiting = self._next()
            if waiting is None:
                return
            self._running[waiting.transfer_id] = waiting.owner
            self._pool.submit(self._fetch, waiting.transfer_id)

    def _next(self) -> web_download.Waiting | None:
        """The oldest one of an owner of whom the fewest are under way."""
        running = self._running.copy()
        held = Counter(running.values())
        for most in range(self._each):
            busy = [owner for owner, number in held.items() if number > most]
            found = web_download.next_waiting(list(running), busy)
            if found or not busy:
                return found
        return None

    def stop(self) -> None:
        """End those that run; they wait again, for the next worker."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _fetch(self, transfer_id: UUID) -> None:
        try:
            web_download.fetch(transfer_id, self._stopping.is_set)
        except errors.ImageError as error:
            log.info("copy %s: %s", transfer_id, error)
        except Exception:
            log.exception("copy %s failed", transfer_id)
        finally:
            connections.close_all()
            del self._running[transfer_id]
