"""Garbage collection of Python, which all processes of the service do seldom."""

from __future__ import annotations

import gc


def collect_seldom() -> None:
    """Let Python look for cycles of unused objects a hundred times less often than by default.

    Modules and the pages of lists have tens of thousands of objects, and hardly any cycles. Call it
    before they are loaded.
    """
    gc.set_threshold(100_000, 20, 20)
