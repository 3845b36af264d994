"""Functions that return freed memory to the operating system; without glibc they do nothing."""

from __future__ import annotations

import ctypes
from typing import Final

M_ARENA_MAX: Final = -8  # a parameter of mallopt(3)
HEAPS: Final = 2  # by default there are up to eight for each processor

_library = ctypes.CDLL(None)


def limit_heaps() -> None:
    """Limit this process to two memory heaps, which its threads share, so that it keeps less memory."""
    if hasattr(_library, "mallopt"):
        _library.mallopt(M_ARENA_MAX, HEAPS)


def return_freed() -> None:
    """Return the free memory pages of all heaps to the operating system."""
    if hasattr(_library, "malloc_trim"):
        _library.malloc_trim(0)
