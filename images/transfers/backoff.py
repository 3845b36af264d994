"""How long what has failed is left alone before it is tried again."""

from __future__ import annotations

from datetime import timedelta

AT_MOST = timedelta(hours=1)


def delay(first: timedelta, earlier: int) -> timedelta:
    """After a failure: the ``first`` pause, doubled for each earlier one, up to AT_MOST."""
    # The exponent has a bound, as durations have one; from a second it leads beyond the most.
    return min(first * (1 << min(earlier, 12)), AT_MOST)
