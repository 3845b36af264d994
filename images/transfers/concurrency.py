"""Few at once: a slow web server of somebody else's must not hold every thread of the service."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from images import errors

# In each process; together fewer than it has threads.
LOOKS = BoundedSemaphore(8)  # at locations that are to be
DOWNLOADS = BoundedSemaphore(16)  # of data that stays where it is
PATIENCE = 5.0  # seconds


@contextmanager
def slot(turns: BoundedSemaphore, until: float | None = None) -> Iterator[None]:
    """Wait for a turn, until then on the monotonic clock; else for PATIENCE. Raises StoreError."""
    if until is None:
        until = time.monotonic() + PATIENCE
    if not turns.acquire(timeout=max(0.0, until - time.monotonic())):
        raise errors.StoreError(
            "Too much is being read from web addresses just now. Try again in a moment."
        )
    try:
        yield
    finally:
        turns.release()
