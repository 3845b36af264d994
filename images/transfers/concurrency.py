"""Limits on concurrent reads from external web servers.

A slow server must not hold every thread of the service.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import BoundedSemaphore

from images import errors

# Limits per process; their sum is less than its number of threads.
PROBES = BoundedSemaphore(4)  # checks of URLs before they are used
READS = BoundedSemaphore(4)  # complete reads of data before it is used, for minutes
DOWNLOADS = BoundedSemaphore(16)  # downloads of data at a location's URL
WAIT_SECONDS = 5.0  # seconds


@contextmanager
def slot(slots: BoundedSemaphore, until: float | None = None) -> Iterator[None]:
    """Hold one of ``slots`` within the context. Raises StoreError if none becomes free in time.

    Waits until ``until`` (monotonic clock), or by default for WAIT_SECONDS.
    """
    if until is None:
        until = time.monotonic() + WAIT_SECONDS
    if not slots.acquire(timeout=max(0.0, until - time.monotonic())):
        raise errors.StoreError(
            "Too many URLs are being read at once. Try again in a few seconds."
        )
    try:
        yield
    finally:
        slots.release()
