"""Copies from web addresses, several at once, in threads of the background worker."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connections

from images import errors, lifecycle

log = logging.getLogger(__name__)


class Copying:
    """Fetches what waits, ``at_once`` of it, until it is told to stop."""

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="copy")
        self._running: set[UUID] = set()
        self._stopping = threading.Event()

    def begin(self) -> None:
        """Begin with what waits, as far as threads are free."""
        free = self._at_once - len(self._running)
        if not free:
            return
        for transfer_id in lifecycle.waiting_copies(self._at_once):
            if transfer_id not in self._running and free:
                self._running.add(transfer_id)
                self._pool.submit(self._fetch, transfer_id)
                free -= 1

    def stop(self) -> None:
        """End those that run; they wait again, for the next worker."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _fetch(self, transfer_id: UUID) -> None:
        try:
            lifecycle.fetch_copy(transfer_id, self._stopping.is_set)
        except errors.ImageError as error:
            log.info("copy %s: %s", transfer_id, error)
        except Exception:
            log.exception("copy %s failed", transfer_id)
        finally:
            connections.close_all()
            self._running.discard(transfer_id)
