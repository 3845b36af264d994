"""The class of a duty: a task that the background worker repeats."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple


class Duty(NamedTuple):
    """A function ``run`` that the background worker calls periodically.

    A duty that can block (``may_block``), because it transfers data or waits for a store, runs in
    its own thread; the others run one after the other. While the workers are paused, only duties
    with ``when_paused`` run: they change no image and remove nothing.
    """

    name: str
    run: Callable[[], object]
    period: float | None = None  # seconds; None: the worker's own interval
    may_block: bool = False
    when_paused: bool = False
