"""Parts of long lists, for statements and requests that take a limited number of values."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

T = TypeVar("T")


def batches(values: list[T], size: int) -> Iterator[list[T]]:
    """Yield the values of a list in their order, at most ``size`` at a time."""
    for start in range(0, len(values), size):
        yield values[start : start + size]
