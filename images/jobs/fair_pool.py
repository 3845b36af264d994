"""Threads of the background worker that carry out waiting work, shared fairly among its owners."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from uuid import UUID

from django.db import connections

from images import errors, outages
from images.duty import Waiting

log = logging.getLogger(__name__)

# Gets the ids of the work that was begun, and the owners at their limits; both are skipped.
NextWaiting = Callable[[Collection[UUID], Collection[str]], Waiting | None]
# Gets the id of the work, and a function that returns whether the worker is being stopped.
CarryOut = Callable[[UUID, Callable[[], bool]], object]


class FairPool:
    """Threads that carry out waiting work, such as web downloads, at most ``at_once`` at a time.

    A web download can take hours, so the work of one owner gets at most half of the threads
    (rounded up). The work of other owners, which is requested later, need not wait for it.
    """

    def __init__(
        self, what: str, at_once: int, next_waiting: NextWaiting, carry_out: CarryOut
    ) -> None:
        """Prepare the threads; ``what`` names the work in the log, such as "web download".

        ``next_waiting`` returns the next work, except that of some owners; ``carry_out`` does it.
        """
        self.what, self._at_once = what, at_once
        self._next_waiting, self._carry_out = next_waiting, carry_out
        self._per_owner = (at_once + 1) // 2  # limit per owner
        thread_name = what.replace(" ", "-")
        self._pool = ThreadPoolExecutor(at_once, thread_name_prefix=thread_name)
        self._running: dict[UUID, str] = {}  # id -> owner
        self._stopping = threading.Event()

    def begin(self) -> None:
        """Start waiting work, until no thread is free or all its owners are at the limit."""
        for _ in range(self._at_once - len(self._running)):
            waiting = self._next()
            if waiting is None:
                return
            self._running[waiting.id] = waiting.owner
            self._pool.submit(self._run, waiting.id)

    def _next(self) -> Waiting | None:
        """Return the next work to begin; None if there is none.

        Owners are treated fairly: the next work is the oldest of the owner for whom the least runs.
        """
        running = self._running.copy()
        by_owner = Counter(running.values())
        for most in range(self._per_owner):
            busy = [owner for owner, number in by_owner.items() if number > most]
            waiting = self._next_waiting(list(running), busy)
            if waiting or not busy:
                return waiting
        return None

    def interrupt(self) -> None:
        """Interrupt the running work, which waits again for the next worker; return at once."""
        self._stopping.set()

    def stop(self) -> None:
        """Interrupt the running work, and wait until it has ended."""
        self.interrupt()
        self._pool.shutdown(cancel_futures=True)

    def _run(self, work_id: UUID) -> None:
        try:
            self._carry_out(work_id, self._stopping.is_set)
        except errors.StoreError as error:
            # The event of the image, which is logged, has only the message for its owner.
            if error.operator_message:
                log.warning("%s %s failed", self.what, work_id, exc_info=error)
        except errors.ImageError:
            pass  # an event of the image, which is logged
        except Exception as error:
            outages.report(error, log, "%s %s failed", self.what, work_id)
        finally:
            connections.close_all()
            del self._running[work_id]
