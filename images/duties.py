"""What a room tells the background worker to do, and how often."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Duty(NamedTuple):
    """A function that the background worker calls again and again.

    A duty that may block, because it moves bytes or waits for a store, runs in a thread of
    its own; the others run one after the other.
    """

    name: str
    run: Callable[[], object]
    period: float | None = None  # seconds; None: the worker's own interval
    may_block: bool = False
