"""Limits on how often a client does something, shared by the processes of one machine.

The web processes inherit the table from the process that starts them. They do not lock each
other: at worst a request is not counted.
"""

from __future__ import annotations

import math
import mmap
import struct
import time
from hashlib import blake2b
from threading import Lock

from images import errors

BURST = 10  # minutes of changes that may come at once, after a pause
SLOTS = 1 << 15
PROBES = 8  # slots in which a key can be
# The digest of a key, and when its requests are paid off (monotonic).
_SLOT = struct.Struct("=Qd")

_table = mmap.mmap(-1, SLOTS * _SLOT.size)
_lock = Lock()


def count(key: str, per_minute: int, at_once: int, sentence: str) -> None:
    """Count a request of the client or object ``key``; no limit if ``per_minute`` is 0.

    Raises TooManyRequests, with the ``sentence`` and the time to wait, for more than
    ``per_minute`` requests in the long run, or ``at_once`` after a pause. Refused requests do
    not count.
    """
    if not per_minute:
        return
    cost = 60 / per_minute  # seconds
    with _lock:
        now = time.monotonic()
        digest, offset = _find(key)
        known, until = _SLOT.unpack_from(_table, offset)
        until = max(until, now) if known == digest else now
        excess = until + cost - now - at_once * cost
        if excess <= 0:
            _SLOT.pack_into(_table, offset, digest, until + cost)
    if excess > 0:
        seconds = math.ceil(excess)
        raise errors.TooManyRequests(f"{sentence} Try again in {seconds} s.", seconds)


def _find(key: str) -> tuple[int, int]:
    """Return the digest of a key, and the offset of its slot in the table.

    A key without a slot gets that of another key, whose count ends first.
    """
    digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
    offsets = [(digest + n) % SLOTS * _SLOT.size for n in range(PROBES)]
    slots = {offset: _SLOT.unpack_from(_table, offset) for offset in offsets}
    for offset, (known, _) in slots.items():
        if known == digest:
            return digest, offset
    return digest, min(slots, key=lambda offset: slots[offset][1])
