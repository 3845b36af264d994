"""Staged data: received in one request, and kept until a client asks for its import."""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing

from django.conf import settings
from django.db.models import F
from django.utils import timezone

from images import db, lifecycle, stores
from images.access import Caller
from images.failpoints import failpoint
from images.formats import Inspector
from images.models import (
    Image,
    ImportMethod,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
    UploadChunk,
)
from images.transfers import client_bytes, heartbeat, leases, quota
from images.transitions import follow, locked, save
from images.uploads.chunk_writing import next_chunk, write


def stage(
    image_id: str,
    blocks: Iterable[bytes],
    actor: Caller,
    *,
    expected_size: int | None = None,
    expected_digests: Mapping[str, str] | None = None,
) -> None:
    """Receive data that a client can import later: queued -> uploading.

    The formats of the image can be set after that. The import inspects the data, and compares
    it with ``expected_digests`` (algorithm -> hexadecimal). On any failure the image is queued
    again and the data is removed. Data that is not imported expires IMAGECATALOG_UPLOAD_EXPIRY
    seconds after its last byte.

    Raises NotFound, Conflict (the image is not queued, or is pinned to data of another size),
    Invalid (size mismatch), OverLimit (the size cap, a quota), Gone (the image was deleted in
    the meantime), StoreError, and the errors of the client's stream.
    """
    lifecycle.check_size_cap(expected_size)
    store = lifecycle.writable_store(settings.IMAGECATALOG_STAGING_STORE or None)
    with locked(image_id, actor) as image:
        digests = expected_digests or {}
        upload, chunk = _begin(image, store, expected_size, digests, actor)
    failpoint("stage.begun")
    db.release_connection()
    try:
        blocks = client_bytes.counted(upload, blocks, actor)
        blocks = quota.reserving(upload, blocks)
        with closing(lifecycle.counted(image, blocks, expected_size)) as counted:
            write(upload, chunk, _Stream(counted, expected_size is not None))
        failpoint("stage.stored")
        _complete(upload)
    except BaseException as error:
        leases.fail(upload, error, actor)
        raise


def _begin(
    image: Image,
    store: stores.Store,
    expected_size: int | None,
    expected_digests: Mapping[str, str],
    actor: Caller,
) -> tuple[Transfer, UploadChunk]:
    follow(image, image.mark_uploading, "stage", actor)
    lifecycle.check_pinned_size(image, expected_size)
    quota.check_uploading(image)
    quota.check_staging(image, expected_size or 0)
    upload = leases.begin(
        image,
        TransferKind.STAGE,
        store,
        actor,
        expected=expected_size,
        status_on_failure=Status.QUEUED,
        digests=expected_digests,
        reserved=quota.reserve(image, expected_size),
        import_method=ImportMethod.GLANCE_DIRECT,
    )
    return upload, next_chunk(upload, 0)


class _Stream:
    """The blocks of a request body. The end of the body is known only when it is reached."""

    inspection: Inspector | None = None  # the formats can still change
    expected_digests: Mapping[str, str] = {}  # the import compares them

    def __init__(self, blocks: Iterator[bytes], is_one_chunk: bool) -> None:
        # A single object can become the object of the image. Data of unknown size is split,
        # because the staging quota counts it by its chunks.
        self.is_one_chunk = is_one_chunk
        self._ended = False
        self.blocks = self._watched(blocks)

    def _watched(self, blocks: Iterator[bytes]) -> Generator[bytes, None, None]:
        yield from blocks
        self._ended = True

    def has_more(self) -> bool:
        """Return whether the end of the body has not been reached yet."""
        return not self._ended

    def check_digests(self, actual: Mapping[str, str]) -> None:
        """Do nothing: the import compares the digests later."""


def _complete(upload: Transfer) -> None:
    """Mark staged data as complete. Raises Gone if its transfer was ended in the meantime."""
    with locked(upload.image_id, deleted=True) as image:
        running = Transfer.objects.filter(pk=upload.pk, status=TransferStatus.RUNNING)
        completed = running.update(
            bytes_expected=F("bytes_received"),
            heartbeat_at=timezone.now(),
            deadline=leases.deadline(upload.kind),
        )
        if not completed:
            raise heartbeat.gone(upload)
        if not image.pinned:
            image.size = running.get().bytes_received
            save(image, "size")
