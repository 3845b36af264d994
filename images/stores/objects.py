"""The store in object storage (S3, Google Cloud Storage, Azure) through obstore.

Credentials come from the usual environment variables of the cloud. A process that has used an
object store must not fork: the child would hang in obstore's event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timedelta
from typing import Any

import obstore
from django.core.exceptions import ImproperlyConfigured
from obstore.exceptions import (
    BaseError,
    PermissionDeniedError,
    UnauthenticatedError,
)
from obstore.store import from_url

from images.errors import DataMissing, StoreError, StoreFull
from images.stores import credentials, faults, keys, unfinished
from images.stores.error_counts import READ, counted, counted_blocks
from images.stores.handover import Handover

BLOCK = 1 << 20  # bytes
# The parts that are being sent are in memory, and besides them only a few blocks. S3 takes 10 000
# parts: 78 GiB at 8 MiB.
PART_MIB = 8
PARTS_AT_ONCE = 3
SILENCE = 20  # s without a byte from the store
S3 = ("s3", "s3a")
FULL = ("QuotaExceeded", "StorageFull", "507 Insufficient Storage")
SECRET = ("key", "secret", "token", "password", "credential", "sas", "sig")


class ObjectStore:
    """A store in object storage (S3, Google Cloud Storage, Azure): a bucket, or a prefix in one."""

    read_only = False

    def __init__(
        self,
        store_id: str,
        url: str,
        options: Mapping[str, str],
        weight: int = 0,
        description: str = "",
        *,
        cached: bool = True,
    ) -> None:
        """Prepare the client of a store at a URL such as ``s3://bucket/prefix``.

        ``options`` are the options of obstore's client, and ``part_mib`` (size of the parts of an
        upload, in MiB). Raises ImproperlyConfigured for a bad URL or option, and for a credential
        among the options; its message does not name the variable with the URL.
        """
        self.id = store_id
        self.weight = weight
        self.description = description
        self.cached = cached
        self.type = url.partition(":")[0]
        self._url = url.rstrip("/")
        client_options = {name.lower(): value for name, value in options.items()}
        self._part_size = _mebibytes(
            store_id, client_options.pop("part_mib", str(PART_MIB))
        )
        self._client = _client(store_id, url, client_options)
        # The client knows the options by other names too, such as aws_endpoint_url for endpoint.
        self._options: Mapping[str, str] = self._client.config

    @property
    def properties(self) -> dict[str, object]:
        """The part size of multipart uploads in MiB, and the number of parts sent at the same time.

        Empty for a store that is not S3.
        """
        if self.type not in S3:
            return {}
        part_mib = self._part_size >> 20
        return {
            "s3_store_large_object_size": part_mib,
            "s3_store_large_object_chunk_size": part_mib,
            "s3_store_thread_pools": PARTS_AT_ONCE,
        }

    def check_mounted(self, in_use: Callable[[], bool]) -> None:
        """Do nothing: only stores in local folders have to be mounted."""

    @counted("write")
    def put(
        self,
        key: str,
        blocks: Iterable[bytes],
        size: int | None = None,
        rarely_read: bool = False,
    ) -> None:
        """Store an object by a multipart upload, so that only complete objects are visible.

        A conditional write of S3 would need the whole object in memory, so the existence of
        the key is checked before. ``rarely_read`` makes no difference. Raises StoreFull,
        StoreError, and the exceptions of ``blocks``.
        """
        self._refuse_existing(key)
        with Handover(lambda fed: self._upload(key, fed)) as handover:
            for block in blocks:
                if handover.failed:
                    break
                handover.give(block)
        try:
            with _store_errors():
                handover.result()
        except StoreError:
            # The store may have completed the object, or have failed to abort the upload.
            self._remove(key)
            raise

    @counted(READ)
    def open(
        self, key: str, start: int = 0, stop: int | None = None
    ) -> Generator[bytes, None, None]:
        """Return bytes [start, stop) of an object in blocks of about 1 MiB.

        ``stop`` None: to the end of the object. Raises DataMissing if there is no such object,
        StoreError if the store fails.
        """
        if start == 0 and stop is None:
            return self._stream(key, {})
        # Stores respond differently to a range outside the object, so none is requested.
        size = self.size(key)
        stop = size if stop is None else min(stop, size)
        if start >= stop:
            return _nothing()
        return self._stream(key, {"range": (start, stop)})

    @counted("size")
    def size(self, key: str) -> int:
        """Return the size of an object in bytes.

        Raises DataMissing if there is no such object, StoreError if the store fails.
        """
        with _reading():
            try:
                return obstore.head(self._client, keys.checked(key))["size"]
            except (PermissionDeniedError, UnauthenticatedError):
                # Only the answer to a GET has a body, which says why.
                obstore.get(self._client, key)
                raise

    @counted("delete")
    def delete(self, key: str, *, abandoned: bool = False) -> None:
        """Remove an object; with ``abandoned`` also the parts of unfinished multipart uploads.

        Safe to call twice. Clouds other than S3 remove such parts themselves within a week.
        Raises StoreError if the store fails.
        """
        self._delete(key)
        if abandoned and self.type in S3:
            unfinished.abort(self._url, self._options, key)
            # S3 may have carried out a last request of a dead writer meanwhile, which began the
            # upload or completed the object.
            self._delete(key)
            unfinished.abort(self._url, self._options, key)

    def keys(self) -> Iterator[tuple[str, int]]:
        """Yield (key, size in bytes) of every object.

        Unfinished multipart uploads are not included: obstore cannot list them.
        """
        with _store_errors():
            for batch in obstore.list(self._client):
                for entry in batch:
                    if keys.is_key(
                        entry["path"]
                    ):  # other objects are not the service's
                        yield entry["path"], entry["size"]

    def copy(self, source: str, key: str) -> None:
        """Copy an object within the store, without transferring its data.

        S3 refuses objects above 5 GiB. Raises DataMissing if there is no such object, StoreError
        if the store fails.
        """
        with _reading():
            obstore.copy(self._client, keys.checked(source), keys.checked(key))

    def folders(self) -> list[str]:
        """Return the names of all folders: the first segments of keys such as ``folder/object``.

        Raises StoreError if the store fails.
        """
        with _store_errors():
            return [*obstore.list_with_delimiter(self._client)["common_prefixes"]]

    def inside(self, folder: str) -> Iterator[tuple[str, datetime]]:
        """Yield (key, time of the last change) of all objects in a folder.

        Raises StoreError if the store fails.
        """
        with _store_errors():
            for batch in obstore.list(self._client, prefix=keys.checked(folder)):
                for entry in batch:
                    yield entry["path"], entry["last_modified"]

    def delete_folder(self, folder: str) -> None:
        """Remove all objects in a folder, and in S3 the folder's unfinished multipart uploads.

        Safe to call twice. Raises StoreError if the store fails.
        """
        with _store_errors():
            for batch in obstore.list(self._client, prefix=keys.checked(folder)):
                obstore.delete(self._client, [entry["path"] for entry in batch])
        if self.type in S3:
            unfinished.abort(self._url, self._options, folder)

    def unfinished_uploads(self, folder: str = "") -> Iterator[unfinished.Upload]:
        """Yield the multipart uploads, in the store or a folder of it, that have not ended.

        Yields nothing for clouds other than S3. Raises StoreError if the store fails.
        """
        if self.type in S3:
            yield from unfinished.uploads(self._url, self._options, folder)

    def url(self, key: str) -> str:
        """Return the URL of an object, such as ``s3://bucket/…``: the store's URL and the key."""
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
            result = obstore.get(self._client, keys.checked(key), options=options)
            first, end = result.range
        blocks = _blocks(result, end - first)
        next(blocks)  # so that close() works even before the first block
        return counted_blocks(self.id, blocks)

    def _refuse_existing(self, key: str) -> None:
        with suppress(DataMissing):
            self.size(key)
            raise StoreError("The store refuses a key that exists already.")

    def _delete(self, key: str) -> None:
        with suppress(DataMissing), _reading():
            obstore.delete(self._client, keys.checked(key))

    def _remove(self, key: str) -> None:
        """Remove an object after a failure; another error must not hide that failure."""
        with suppress(StoreError):
            self.delete(key, abandoned=True)


@contextmanager
def _store_errors() -> Iterator[None]:
    """Turn errors of obstore within the context into StoreError or StoreFull.

    Do not iterate over blocks of data within the context: the errors of their source are no
    errors of the store.
    """
    try:
        yield
    except (BaseError, OSError, ValueError) as error:
        raise _failure(error) from error


def _failure(error: Exception) -> StoreError:
    """Return the error of a store for an error of obstore.

    The frame that raises it must not keep it in a variable: the reference cycle would keep the
    frames of all callers, with their blocks of data, until the next garbage collection.
    """
    if any(word in str(error) for word in FULL):
        return StoreFull("The store is full. Free space in it, or use another store.")
    failure = StoreError(
        "The object store failed. Try again later; the log of the service has the reason."
    )
    failure.operator_message = faults.sentence(error)
    return failure


@contextmanager
def _reading() -> Iterator[None]:
    try:
        with _store_errors():
            yield
    except StoreError as error:
        if _is_missing(error.__cause__):
            raise DataMissing("The data is no longer in the store.") from error
        raise


def _is_missing(cause: BaseException | None) -> bool:
    return isinstance(cause, FileNotFoundError) and faults.NO_BUCKET not in str(cause)


def _blocks(result: obstore.GetResult, expected: int) -> Generator[bytes, None, None]:
    yield b""
    stream = result.stream(min_chunk_size=BLOCK)
    del result
    while expected > 0:
        with _store_errors():
            block = next(stream, b"")
        if not block:
            raise StoreError("The object store sent less data than it announced.")
        expected -= len(block)
        yield block


def _nothing() -> Generator[bytes, None, None]:
    yield from ()


def _client(store_id: str, url: str, options: Mapping[str, str]) -> Any:
    if any(word in name for name in options for word in SECRET):
        raise ImproperlyConfigured(
            f"the URL of store {store_id!r} contains a credential. "
            "Set it in the environment variables of the cloud instead."
        )
    endpoints = (value for name, value in options.items() if "endpoint" in name)
    plain = any(value.startswith("http://") for value in endpoints)
    is_s3 = url.partition(":")[0] in S3
    provider: Any = (
        credentials.refuse if is_s3 and credentials.are_missing(options) else None
    )
    config: Any = dict(options)
    try:
        # A limit on the whole request would abort long downloads, so only silence is limited.
        # No retry begins after SILENCE / 2, so that a dead store fails within 30 s.
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
            credential_provider=provider,
        )
    except (BaseError, ValueError, TypeError) as error:
        raise ImproperlyConfigured(
            f"store {store_id!r} cannot be used. Check its URL, its "
            f"options ({', '.join(options) or 'none'}) and the variables of the cloud."
        ) from error


def _mebibytes(store_id: str, text: str) -> int:
    if not text.isdecimal() or not 5 <= int(text) <= 1024:
        raise ImproperlyConfigured(
            f"part_mib of store {store_id!r} is {text!r}. It must be "
            "a whole number from 5 to 1024."
        )
    return int(text) << 20
