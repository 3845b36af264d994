"""Is everything as the life cycle promises? Compares rows, history and stores; changes nothing.

What it finds is put right by the verbs of ``images.lifecycle``.
"""

from __future__ import annotations

from collections.abc import Iterator

from images import stores
from images.operations.consistency.data_checks import (
    Copy,
    Through,
    damage,
    due,
    paced,
    to_verify,
)
from images.operations.consistency.finding import Finding
from images.operations.consistency.history_checks import broken_histories
from images.operations.consistency.objects import (
    Listed,
    at_web_addresses,
    elsewhere,
    in_store,
)
from images.operations.consistency.row_checks import ROW_CHECKS, known_damage

__all__ = ["Copy", "Finding", "check", "damage", "due", "paced", "to_verify"]


def check(
    *,
    read_bytes: bool = False,
    store: str | None = None,
    listed: Listed = iter,
    read: Through = iter,
) -> Iterator[Finding]:
    """Everything that is wrong, in constant memory.

    ``read_bytes`` also reads all data and compares it with the digests. ``store`` looks at
    the bytes of that store only, at no row. May run while the service works: what is merely
    under way is no finding. What a store lists passes through ``listed``, what is read of a
    copy through ``read``. Raises Invalid for a store that is not configured.
    """
    through = read if read_bytes else None
    if store == stores.HTTP.id:
        yield from at_web_addresses(read)
        return
    if store is not None:
        yield from in_store(stores.get(store), listed, through)
        return
    for look in ROW_CHECKS:
        yield from look()
    if not read_bytes:
        yield from known_damage()
    yield from broken_histories()
    for configured in stores.configured():
        yield from in_store(configured, listed, through)
    yield from elsewhere(through)
