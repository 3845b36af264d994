"""The delay before a failed operation is retried."""

from __future__ import annotations

from datetime import timedelta

AT_MOST = timedelta(hours=1)


def delay(first: timedelta, earlier: int) -> timedelta:
    """Return how long to wait after a failure: ``first``, doubled for each of ``earlier`` failures.

    The delay is at most one hour.
    """
    # Bounded, because a timedelta can overflow; 12 doublings of a second exceed AT_MOST.
    return min(first * (1 << min(earlier, 12)), AT_MOST)
