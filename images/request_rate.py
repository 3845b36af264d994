"""Limits on how often a client does something, shared by the processes of one machine.

The counts are in memory that the web processes inherit from the process that starts them. The
processes do not lock each other out: at worst a request is not counted.
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
SECOND = 10**9  # nanoseconds
MINUTE = 60 * SECOND
# The digest of a key, and when its requests are paid off (monotonic, in nanoseconds). Fractions
# of seconds would be rounded, and the last request of a burst refused now and then.
_SLOT = struct.Struct("=Qq")

_table = mmap.mmap(-1, SLOTS * _SLOT.size)
_lock = Lock()


def count(key: str, per_minute: int, at_once: int, sentence: str) -> None:
    """Count a request under ``key``, which names a client or an object; refuse it above the limit.

    The limit is ``per_minute`` requests on average (0: no limit), and ``at_once`` requests
    after a time without requests. Above it raises TooManyRequests, with the ``sentence`` and
    the time to wait. Refused requests do not count.
    """
    if not per_minute:
        return
    cost = MINUTE // per_minute
    with _lock:
        now = time.monotonic_ns()
        digest, offset = _find(key)
        known, until = _SLOT.unpack_from(_table, offset)
        until = max(until, now) if known == digest else now
        excess = until + cost - now - at_once * cost
        if excess <= 0:
            _SLOT.pack_into(_table, offset, digest, until + cost)
    if excess > 0:
        seconds = math.ceil(excess / SECOND)
        raise errors.TooManyRequests(f"{sentence} Try again in {seconds} s.", seconds)


def _find(key: str) -> tuple[int, int]:
    """Return (digest of a key, offset in bytes of its slot in the table).

    A key without a slot takes over another key's slot: of the slots in which it can be, the
    slot whose count ends first.
    """
    digest = int.from_bytes(blake2b(key.encode(), digest_size=8).digest(), "big")
    offsets = [(digest + n) % SLOTS * _SLOT.size for n in range(PROBES)]
    slots = {offset: _SLOT.unpack_from(_table, offset) for offset in offsets}
    for offset, (known, _) in slots.items():
        if known == digest:
            return digest, offset
    return digest, min(slots, key=lambda offset: slots[offset][1])
