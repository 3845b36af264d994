"""The bytes of image data that clients send, as the metrics count them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from images import process_metrics
from images.access import Caller
from images.models import Transfer


def counted(
    transfer: Transfer, blocks: Iterable[bytes], actor: Caller
) -> Iterator[bytes]:
    """Yield the blocks that a client sends for a transfer, and count their bytes in the metrics.

    They are counted by the client's interface and by the store that the transfer writes to, as they
    arrive: also those of data that is refused later.
    """
    for block in blocks:
        labels = actor.interface, transfer.store
        process_metrics.count("upload_bytes_total", *labels, by=len(block))
        yield block
