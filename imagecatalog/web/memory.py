"""The return of freed memory to the system, which the C library would keep. Needs glibc."""

from __future__ import annotations

import ctypes
from typing import Final

# Parameters of mallopt(3). By default there are up to eight heaps a processor, and blocks of up
# to 32 MiB come from them once such a block was freed.
M_MMAP_THRESHOLD: Final = -3
M_ARENA_MAX: Final = -8
LIMITS: Final = {
    M_MMAP_THRESHOLD: 128 << 10,  # bytes of a block that has pages of its own
    M_ARENA_MAX: 2,  # heaps
}

_library = ctypes.CDLL(None)


def limit_heaps() -> None:
    """Let the threads of this process share few heaps, and large blocks not use them."""
    if hasattr(_library, "mallopt"):
        for parameter, value in LIMITS.items():
            _library.mallopt(parameter, value)


def return_freed() -> None:
    """Return the free pages of all heaps to the system."""
    if hasattr(_library, "malloc_trim"):
        _library.malloc_trim(0)
