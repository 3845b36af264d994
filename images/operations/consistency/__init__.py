"""Consistency checks: compare rows, history and stores, and report findings. Changes nothing.

The module ``fixes`` fixes findings by operations of ``images.lifecycle`` and ``repair``.
"""

from __future__ import annotations

from collections.abc import Iterator

from images import stores
from images.operations.consistency.data_checks import (
    Copy,
    Through,
    damage,
    examine,
    in_verification_order,
    rate_limited,
    to_verify,
)
from images.operations.consistency.finding import Finding
from images.operations.consistency.history_checks import broken_histories
from images.operations.consistency.objects import (
    Listed,
    at_urls,
    in_store,
    in_unlisted_stores,
)
from images.operations.consistency.row_checks import ROW_CHECKS, known_damage

__all__ = [
    "Copy",
    "Finding",
    "Through",
    "check",
    "damage",
    "examine",
    "in_verification_order",
    "rate_limited",
    "to_verify",
]


def check(
    *,
    read_bytes: bool = False,
    store: str | None = None,
    listed: Listed = iter,
    read: Through = iter,
) -> Iterator[Finding]:
    """Run all consistency checks and yield their findings, in constant memory.

    ``read_bytes`` also reads all data and compares it with the digests. ``store`` checks only
    the objects of that store, not the rows. The check can run while the service works:
    running operations cause no findings. ``listed`` and ``read`` wrap the listings of stores
    and the blocks of copies, for example in a progress bar. Raises Invalid for a store that
    is not configured.
    """
    through = read if read_bytes else None
    if store == stores.HTTP.id:
        yield from at_urls(read)
        return
    if store is not None:
        yield from in_store(stores.get(store), listed, through)
        return
    for row_check in ROW_CHECKS:
        yield from row_check()
    if not read_bytes:
        yield from known_damage()
    yield from broken_histories()
    for configured in stores.configured():
        yield from in_store(configured, listed, through)
    yield from in_unlisted_stores(through)
