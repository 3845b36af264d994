"""The classes of the background worker's work: duties that it repeats, and work that waits."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple
from uuid import UUID


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


class Waiting(NamedTuple):
    """Work that no worker has claimed yet: its id, and the project that it is for."""

    id: UUID
    owner: str  # empty: no project
