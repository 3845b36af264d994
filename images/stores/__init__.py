"""Where bytes are kept: put, open and delete under a key. Knows no image, no HTTP request.

``get``, ``default`` and ``configured`` give the stores of settings.IMAGECATALOG_STORES.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Protocol

from django.conf import settings

from images.errors import DataMissing, Invalid
from images.stores import config
from images.stores.http import HttpStore


class Blocks(Protocol):
    """Data that is read: an iterator of bytes, and perhaps ``send_to`` as of the local store."""

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    def close(self) -> None:
        """Release the file or the connection."""


class Store(Protocol):
    """What every store can do. A key is like ``ab/<uuid>.<hex>`` and is never used again."""

    @property
    def id(self) -> str:
        """As in settings.IMAGECATALOG_STORES."""

    @property
    def type(self) -> str:
        """file, s3, gs, az, …, http."""

    @property
    def weight(self) -> int:
        """The higher, the sooner it is read from."""

    @property
    def description(self) -> str: ...

    @property
    def read_only(self) -> bool: ...

    def put(self, key: str, blocks: Iterable[bytes]) -> None:
        """When it returns, the object is complete and durable.

        What ``blocks`` raises comes out unchanged; after any exception nothing stays behind.
        Raises StoreFull, StoreReadOnly, StoreError. A block must not change once it was given.
        """

    def open(self, key: str, start: int = 0, stop: int | None = None) -> Blocks:
        """Bytes [start, stop) in blocks of about 1 MiB, fewer where the object ends before.

        DataMissing and StoreError are raised by the call; StoreError also in the middle.
        ``close()`` releases the file or the connection.
        """

    def size(self, key: str) -> int:
        """In bytes; DataMissing, StoreError."""

    def delete(self, key: str, *, abandoned: bool = False) -> None:
        """Safe to call twice; StoreError. Does nothing in a read-only store.

        ``abandoned``: whoever wrote it may have died, so that half of it may be there.
        """

    def keys(self) -> Iterator[tuple[str, int]]:
        """(key, size in bytes) of all there is, leftovers of broken-off writes too."""

    def url(self, key: str) -> str:
        """Where the object is, for privileged eyes only."""


HTTP = HttpStore()


def get(store_id: str) -> Store:
    """A configured store, or ``http``; raises Invalid."""
    if store_id == HTTP.id:
        return HTTP
    try:
        return _stores(settings.IMAGECATALOG_STORES)[store_id]
    except KeyError:
        raise Invalid(f"Store for identifier {store_id} not found") from None


def by_scheme(name: str) -> Store:
    """The store of this id, or the first one of this type; raises Invalid."""
    for store in (*configured(), HTTP):
        if name == store.id:
            return store
    for store in configured():
        if name == store.type:
            return store
    raise Invalid(f"Store for scheme {name[:64]} not found")


def holding(store_id: str) -> Store:
    """The store that a row names; DataMissing when the operator has taken it away."""
    try:
        return get(store_id)
    except Invalid:
        raise DataMissing("The data is in a store that is not configured.") from None


def heaviest_first(
    copies: Iterable[tuple[str, str]], preferred: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """(store id, key) pairs in the order in which they are to be read.

    Those in ``preferred`` stores come first, in that order.
    """
    rank = {store_id: place for place, store_id in enumerate(preferred)}
    last = len(rank)
    return sorted(copies, key=lambda copy: (rank.get(copy[0], last), -_weight(copy[0])))


def _weight(store_id: str) -> int:
    try:
        return get(store_id).weight
    except Invalid:
        return 0


def default() -> Store:
    """The first one."""
    return configured()[0]


def configured() -> list[Store]:
    """In their order, without ``http``."""
    return list(_stores(settings.IMAGECATALOG_STORES).values())


@lru_cache(maxsize=32)
def _stores(raw: str) -> dict[str, Store]:
    return {**config.parse(raw)}
