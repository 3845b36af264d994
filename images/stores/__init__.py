"""The stores, which keep objects under keys. They know nothing of images and HTTP requests.

``get``, ``default`` and ``configured`` return the stores of settings.IMAGECATALOG_STORES.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Protocol

from django.conf import settings

from images.errors import Invalid, StoreNotConfigured
from images.stores import config
from images.stores.http import HttpStore


class Blocks(Protocol):
    """An iterator over the data of an object; close it to release the file or the connection.

    The blocks of a local store also have ``send_to``, which sends data to a socket without
    copying it.
    """

    def __iter__(self) -> Iterator[bytes]: ...

    def __next__(self) -> bytes: ...

    def close(self) -> None:
        """Release the file or the connection."""


class Store(Protocol):
    """The interface of every store. Keys look like ``ab/<uuid>.<hex>`` and are never reused."""

    @property
    def id(self) -> str:
        """The id of the store in settings.IMAGECATALOG_STORES."""

    @property
    def type(self) -> str:
        """The type of the store: file, s3, gs, az, …, http."""

    @property
    def weight(self) -> int:
        """The priority for reading: stores with a higher weight are preferred."""

    @property
    def description(self) -> str:
        """The operator's description of the store."""

    @property
    def cached(self) -> bool:
        """Whether machines with a read cache keep data of this store in it."""

    @property
    def read_only(self) -> bool:
        """Whether objects can only be read, not stored or deleted."""

    @property
    def properties(self) -> Mapping[str, object]:
        """The settings of the store that privileged callers see, by the Image API's names."""

    def check_mounted(self, in_use: Callable[[], bool]) -> None:
        """Prepare the store for objects. Raises StoreError for a folder that is not mounted.

        A folder counts as not mounted if it is empty although ``in_use`` returns True,
        because the catalogue has objects in the store.
        """

    def put(
        self,
        key: str,
        blocks: Iterable[bytes],
        size: int | None = None,
        rarely_read: bool = False,
    ) -> None:
        """Store an object; when the call returns, the object is complete and durable.

        If the ``size`` in bytes is given, a full store refuses the object before the first
        block. ``rarely_read`` says that downloads read another copy, so that the data is kept
        out of the page cache.

        Exceptions of ``blocks`` are passed on unchanged; after any exception no partial data
        stays. Blocks must not change afterwards. Raises StoreFull, StoreReadOnly, and
        StoreError if the key exists or the store fails.
        """

    def open(self, key: str, start: int = 0, stop: int | None = None) -> Blocks:
        """Return bytes [start, stop) of an object in blocks of about 1 MiB.

        ``stop`` None: to the end of the object. The call raises DataMissing if there is no such
        object, StoreError if the store fails; the iteration can also raise StoreError.
        ``close()`` of the blocks releases the file or the connection.
        """

    def size(self, key: str) -> int:
        """Return the size of an object in bytes.

        Raises DataMissing if there is no such object, StoreError if the store fails.
        """

    def delete(self, key: str, *, abandoned: bool = False) -> None:
        """Remove an object. Safe to call twice; does nothing in a read-only store.

        With ``abandoned`` partial data is removed, too, which a dead writer can have left.
        Raises StoreError if the store fails.
        """

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield (key, size in bytes) of all objects, including partial data."""

    def url(self, key: str) -> str:
        """Return the URL of an object, which only privileged callers are allowed to see."""


HTTP = HttpStore()


def get(store_id: str) -> Store:
    """Return the configured store with this id; ``http`` is the store of external URLs.

    Raises Invalid for any other id.
    """
    if store_id == HTTP.id:
        return HTTP
    try:
        return _stores(settings.IMAGECATALOG_STORES)[store_id]
    except KeyError:
        raise Invalid(f"Store for identifier {store_id[:64]} not found") from None


def by_scheme(name: str) -> Store:
    """Return the store with the id ``name``, or the first store of the type ``name``.

    Raises Invalid if there is neither.
    """
    for store in (*configured(), HTTP):
        if name == store.id:
            return store
    for store in configured():
        if name == store.type:
            return store
    raise Invalid(f"Store for scheme {name[:64]} not found")


def get_for_location(store_id: str) -> Store:
    """Return the store with the id that a location has in the database.

    Raises StoreNotConfigured if the store is no longer configured.
    """
    try:
        return get(store_id)
    except Invalid:
        error = StoreNotConfigured(
            "The data is in a store that is not configured. Tell the operator, who can "
            "configure the store again."
        )
        error.operator_message = (
            f"The data is in the store {store_id!r}, which is not configured. Add it to "
            "IMAGECATALOG_STORES."
        )
        raise error from None


def heaviest_first(
    copies: Iterable[tuple[str, str]], preferred: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """Return copies, as pairs of (store id, key), sorted by descending weight of their stores.

    Copies in the stores ``preferred`` (ids) come before all others, in the order of these ids.
    A store that is not configured has the weight 0.
    """
    rank = {store_id: index for index, store_id in enumerate(preferred)}
    last = len(rank)
    return sorted(copies, key=lambda copy: (rank.get(copy[0], last), -_weight(copy[0])))


def _weight(store_id: str) -> int:
    try:
        return get(store_id).weight
    except Invalid:
        return 0


def default() -> Store:
    """Return the default store: the first one in settings.IMAGECATALOG_STORES."""
    return configured()[0]


def configured() -> list[Store]:
    """Return the stores of settings.IMAGECATALOG_STORES in their order, without ``http``."""
    return list(_stores(settings.IMAGECATALOG_STORES).values())


@lru_cache(maxsize=32)
def _stores(raw: str) -> dict[str, Store]:
    return {**config.parse(raw)}
