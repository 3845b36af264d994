"""Bytes in an object store (S3, Google Cloud Storage, Azure) through obstore. Knows no image.

Credentials come from the cloud's usual environment variables.
A process that has used one must not fork: the child would hang in obstore's event loop.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import timedelta
from typing import Any

import obstore
from django.core.exceptions import ImproperlyConfigured
from obstore.exceptions import BaseError
from obstore.store import from_url

from images.errors import DataMissing, StoreError, StoreFull
from images.stores import keys, unfinished
from images.stores.handover import Handover

BLOCK = 1 << 20  # bytes
# At most PARTS_AT_ONCE + 1 parts are in memory. S3 takes 10 000 parts: 78 GiB at 8 MiB.
PART_MIB = 8
PARTS_AT_ONCE = 4
SILENCE = 20  # s without a byte from the store
S3 = ("s3", "s3a")
FULL = ("QuotaExceeded", "StorageFull", "507 Insufficient Storage")
SECRET = ("key", "secret", "token", "password", "credential", "sas", "sig")


class ObjectStore:
    """A bucket, or a folder in one."""

    read_only = False

    def __init__(
        self,
        store_id: str,
        url: str,
        options: Mapping[str, str],
        weight: int = 0,
        description: str = "",
    ) -> None:
        """``options`` are obstore's, except ``part_mib``. Raises ImproperlyConfigured."""
        self.id = store_id
        self.weight = weight
        self.description = description
        self.type = url.partition(":")[0]
        self._url = url.rstrip("/")
        self._options = rest = dict(options)
        self._part_size = _mebibytes(store_id, rest.pop("part_mib", str(PART_MIB)))
        self._client = _client(store_id, url, rest)

    def put(self, key: str, blocks: Iterable[bytes]) -> None:
        """A multipart upload: nobody sees the object before it is complete.

        S3's own "create only" would need the whole object in memory, so an existing key is
        looked for before. Raises StoreFull, StoreError, and what ``blocks`` raises.
        """
        self._refuse_existing(key)
        with Handover(lambda fed: self._upload(key, fed)) as handover:
            for block in blocks:
                if handover.failed:
                    break
                handover.give(block)
        try:
            with _own_errors():
                handover.result()
        except StoreError:
            # The last answer may have been lost after the store did its work.
            self._remove(key)
            raise

    def open(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> Generator[bytes, None, None]:
        """Bytes [start, stop) in blocks of about 1 MiB. DataMissing and StoreError come at once."""
        if start == 0 and stop is None:
            return self._stream(key, {})
        # Stores differ in what they say to a range outside the object: never ask for one.
        size = self.size(key)
        stop = size if stop is None else min(stop, size)
        if start >= stop:
            return _nothing()
        return self._stream(key, {"range": (start, stop)})

    def size(self, key: str) -> int:
        """In bytes; DataMissing, StoreError."""
        with _reading():
            return obstore.head(self._client, keys.checked(key))["size"]

    def delete(self, key: str, *, abandoned: bool = False) -> None:
        """Safe to call twice. If it is ``abandoned``, also the parts of an unfinished upload.

        Other clouds than S3 forget such parts by themselves, within a week.
        """
        with suppress(DataMissing), _reading():
            obstore.delete(self._client, keys.checked(key))
        if abandoned and self.type in S3:
            unfinished.abort(self._url, self._options, key)

    def keys(self) -> Iterator[tuple[str, int]]:
        """(key, size in bytes) of every object.

        Unfinished multipart uploads are not among them: obstore cannot list them.
        """
        with _own_errors():
            for batch in obstore.list(self._client):
                for found in batch:
                    if keys.is_key(found["path"]):  # else it is somebody else's
                        yield found["path"], found["size"]

    def url(self, key: str) -> str:
        """s3://bucket/…, as the store was configured."""
        return f"{self._url}/{keys.checked(key)}"

    def _upload(self, key: str, blocks: Iterator[bytes]) -> None:
        obstore.put(
            self._client,
            key,
            blocks,
            use_multipart=True,
            chunk_size=self._part_size,
            max_concurrency=PARTS_AT_ONCE,
        )

    def _stream(self, key: str, options: Any) -> Generator[bytes, None, None]:
        with _reading():
            found = obstore.get(self._client, keys.checked(key), options=options)
            first, end = found.range
        blocks = _blocks(found, end - first)
        next(blocks)  # now close() reaches its finally, also before the first block
        return blocks

    def _refuse_existing(self, key: str) -> None:
        with suppress(DataMissing):
            self.size(key)
            raise StoreError("The store refuses a key that it has already.")

    def _remove(self, key: str) -> None:
        """On the way out of a failure, which must not be hidden by another one."""
        with suppress(StoreError):
            self.delete(key)


@contextmanager
def _own_errors() -> Iterator[None]:
    """Turn obstore's errors into the domain's. Never put it around a producer."""
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        if any(word in str(error) for word in FULL):
            raise StoreFull(
                "The store is full. Free space in it, or use another store."
            ) from error
        raise StoreError(
            "The object store did not do its work. Try again later; the operator finds the "
            "reason in the log."
        ) from error


@contextmanager
def _reading() -> Iterator[None]:
    try:
        with _own_errors():
            yield
    except StoreError as error:
        if isinstance(error.__cause__, FileNotFoundError):
            raise DataMissing("The data is not in the store any more.") from error
        raise


def _blocks(found: obstore.GetResult, expected: int) -> Generator[bytes, None, None]:
    yield b""
    stream = found.stream(min_chunk_size=BLOCK)
    del found
    while expected > 0:
        with _own_errors():
            block = next(stream, b"")
        if not block:
            raise StoreError("The object store sent less data than it announced.")
        expected -= len(block)
        yield block


def _nothing() -> Generator[bytes, None, None]:
    yield from ()


def _client(store_id: str, url: str, options: Mapping[str, str]) -> Any:
    if any(word in name.lower() for name in options for word in SECRET):
        raise ImproperlyConfigured(
            f"IMAGECATALOG_STORES: the URL of store {store_id!r} holds a credential. "
            "Put it into the environment variables of its cloud."
        )
    plain = options.get("endpoint", "").startswith("http://")
    config: Any = dict(options)
    try:
        # A limit on the whole request would cut long downloads off: only silence is limited.
        # No retry begins after SILENCE, so that a dead store is given up within 30 s.
        return from_url(
            url,
            config=config,
            client_options={
                "allow_http": plain,
                "connect_timeout": "5s",
                "read_timeout": f"{SILENCE}s",
                "timeout": "30days",
            },
            retry_config={
                "max_retries": 3,
                "backoff": {"max_backoff": timedelta(seconds=2)},
                "retry_timeout": timedelta(seconds=SILENCE // 2),
            },
        )
    except (BaseError, ValueError, TypeError) as error:
        raise ImproperlyConfigured(
            f"IMAGECATALOG_STORES: store {store_id!r} cannot be used; check its URL, its "
            f"options ({', '.join(options) or 'none'}) and the cloud's variables."
        ) from error


def _mebibytes(store_id: str, text: str) -> int:
    if not text.isdecimal() or not 5 <= int(text) <= 1024:
        raise ImproperlyConfigured(
            f"IMAGECATALOG_STORES: part_mib of store {store_id!r} is {text!r}; it must be "
            "a whole number from 5 to 1024."
        )
    return int(text) << 20
