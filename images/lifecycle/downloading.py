"""An image's data on its way out: from the first copy that can be opened."""

from __future__ import annotations

import time
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing

from images import db, errors, min_rate, stores
from images.lifecycle.uploading import log
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
)
from images.transfers import concurrency

SLICE = 1 << 16  # bytes


def read(
    image_id: str,
    start: int = 0,
    stop: int | None = None,
    *,
    preferred: Sequence[str] = (),
) -> Iterator[bytes]:
    """Bytes [start, stop) of an image, from its first copy that opens.

    ``preferred`` stores are asked first, then the others, the heaviest first.

    Raises DataMissing or StoreError before the first block, DataMissing also for an image in
    any status but active and deactivated, StoreError also when too many read from web
    addresses; and between two blocks, of data at a web address also when they are taken far
    too slowly.
    """
    last: errors.StoreError = errors.DataMissing("The image has no data.")
    held = ImageLocation.objects.filter(
        image=image_id,
        image__status__in=READABLE_STATUSES,
        status=LocationStatus.ACTIVE,
    ).order_by("pk")
    copies = [(location.store, location.key) for location in held]
    if not copies and _has_no_bytes(image_id):
        return _nothing()
    db.release_connection()
    until = time.monotonic() + concurrency.PATIENCE  # however many addresses it has
    for store_id, key in stores.heaviest_first(copies, preferred):
        try:
            if store_id == stores.HTTP.id:
                return _read_web(key, start, stop, until)
            return stores.holding(store_id).open(key, start, stop)
        except errors.StoreError as error:
            last = error
        except errors.Invalid as error:  # a URL that the filter refuses by now
            last = errors.DataMissing(str(error))
        log.warning("the copy in store %s cannot be read", store_id, exc_info=last)
    raise last


def _read_web(
    url: str, start: int, stop: int | None, until: float
) -> Generator[bytes, None, None]:
    blocks = _web_blocks(url, start, stop, until)
    next(blocks)  # now close() gives the turn back, also before the first block
    return blocks


def _web_blocks(
    url: str, start: int, stop: int | None, until: float
) -> Generator[bytes, None, None]:
    with (
        concurrency.slot(concurrency.DOWNLOADS, until),
        closing(stores.HTTP.open(url, start, stop)) as blocks,
    ):
        yield b""
        # As the turn is kept from others, whom it is for may not take his time either.
        yield from min_rate.send(_sliced(blocks), _too_slow)


def _sliced(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), SLICE):
            yield block[start : start + SLICE]


def _too_slow() -> errors.StoreError:
    return errors.StoreError(
        "Data at a web address is taken far too slowly, while others wait for their turn."
    )


def _nothing() -> Iterator[bytes]:
    yield from ()


def _has_no_bytes(image_id: str) -> bool:
    # Through API v1 an image can be active without any data, which is then nowhere.
    readable = Image.objects.filter(status__in=READABLE_STATUSES)
    return readable.filter(pk=image_id, size=0).exists()
