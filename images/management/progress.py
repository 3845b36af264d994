"""While a command moves bytes: what it shows, and how it stops. Knows no image."""

from __future__ import annotations

import signal
import sys
import threading
from collections.abc import Generator, Iterator
from contextlib import contextmanager

from tqdm import tqdm


def watched(
    blocks: Iterator[bytes], what: str, size: int | None = None
) -> Iterator[bytes]:
    """The same blocks, with a progress bar on stderr if that is a terminal. ``size``: bytes."""
    bar = tqdm(
        desc=what[:40],
        total=size,
        unit="B",
        unit_scale=True,
        unit_divisor=1024,
        leave=False,
        disable=None,
    )
    with bar:
        for block in blocks:
            yield block
            bar.update(len(block))


def shown(text: str) -> str:
    """A name in one line that every terminal survives."""
    return "".join(
        it if it.isprintable() else it.encode("unicode_escape").decode() for it in text
    )


@contextmanager
def tidy_end() -> Generator[None, None, None]:
    """SIGTERM and SIGINT end the command as an error would: what was begun is cleaned away."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    signals = (signal.SIGTERM, signal.SIGINT)
    before = {
        number: signal.signal(number, lambda got, _: sys.exit(128 + got))
        for number in signals
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
