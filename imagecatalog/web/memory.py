"""Functions that decide when freed memory is returned to the system; without glibc they do nothing."""

from __future__ import annotations

import ctypes
from typing import Final

# Parameters of mallopt(3).
M_ARENA_MAX: Final = -8
M_MMAP_THRESHOLD: Final = -3
M_TRIM_THRESHOLD: Final = -1

HEAPS: Final = 2  # by default there are up to eight for each processor
LARGE: Final = 4 << 20  # bytes; larger allocations get memory outside the heaps
KEPT: Final = 8 << 20  # bytes at the end of a heap that wait for `return_freed`

_library = ctypes.CDLL(None)


def limit_heaps() -> None:
    """Limit this process to two memory heaps, which its threads share, so that it keeps less memory.

    The heaps keep freed memory until `return_freed`: a block of an upload would otherwise be
    returned when it is freed, and each page of the next block would be cleared by the kernel.
    """
    if hasattr(_library, "mallopt"):
        _library.mallopt(M_ARENA_MAX, HEAPS)
        _library.mallopt(M_MMAP_THRESHOLD, LARGE)
        _library.mallopt(M_TRIM_THRESHOLD, KEPT)


def return_freed() -> None:
    """Return the free memory pages of all heaps to the operating system."""
    if hasattr(_library, "malloc_trim"):
        _library.malloc_trim(0)
