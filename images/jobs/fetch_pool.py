"""Concurrent web downloads, in threads of the background worker."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connections

from images import errors, outages
from images.imports import queue

log = logging.getLogger(__name__)


class FetchPool:
    """Threads that carry out waiting web downloads, at most ``at_once`` at a time.

    A web download can take hours, so the downloads of one owner get at most half of the threads
    (rounded up). Downloads of other owners, which are requested later, need not wait for them.
    """

    def __init__(self, at_once: int) -> None:
        self._at_once = at_once
        self._per_owner = (at_once + 1) // 2  # limit per owner
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix="web-download")
        self._running: dict[UUID, str] = {}  # transfer id -> owner
        self._stopping = threading.Event()

    def begin(self) -> None:
        """Start waiting web downloads, until no thread is free or all their owners are at the limit."""
        for _ in range(self._at_once - len(self._running)):
            waiting = self._next()
            if waiting is None:
                return
            self._running[waiting.transfer_id] = waiting.owner
            self._pool.submit(self._fetch, waiting.transfer_id)

    def _next(self) -> queue.Waiting | None:
        """Return the next waiting web download to begin; None if there is none.

        Owners are treated fairly: the next download is the oldest of the owner with the fewest
        running downloads.
        """
        running = self._running.copy()
        by_owner = Counter(running.values())
        for most in range(self._per_owner):
            busy = [owner for owner, number in by_owner.items() if number > most]
            waiting = queue.next_waiting(list(running), busy)
            if waiting or not busy:
                return waiting
        return None

    def stop(self) -> None:
        """Interrupt the running web downloads, which are queued again for the next worker."""
        self._stopping.set()
        self._pool.shutdown(cancel_futures=True)

    def _fetch(self, transfer_id: UUID) -> None:
        try:
            queue.carry_out(transfer_id, self._stopping.is_set)
        except errors.StoreError as error:
            # The event of the image, which is logged, has only the message for its owner.
            if error.operator_message:
                log.warning("web download %s failed", transfer_id, exc_info=error)
        except errors.ImageError:
            pass  # an event of the image, which is logged
        except Exception as error:
            outages.report(error, log, "web download %s failed", transfer_id)
        finally:
            connections.close_all()
            del self._running[transfer_id]
