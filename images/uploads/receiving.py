"""Receiving the data of a resumable upload in chunks, of which the service keeps the complete ones."""

from __future__ import annotations

import logging
from collections.abc import Generator, Iterable, Iterator, Mapping
from contextlib import closing

from django.conf import settings
from django.utils import timezone

from images import db, errors, expected_digests, request_rate
from images.access import Caller
from images.failpoints import failpoint
from images.formats import Inspector, inspection
from images.models import (
    ChunkStatus,
    Image,
    Transfer,
    UploadChunk,
)
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import chunks, client_bytes, heartbeat, leases
from images.transfers.workers import this_worker
from images.transitions import locked
from images.uploads.chunk_writing import next_chunk, write
from images.uploads.finishing import finish
from images.uploads.staging import find, find_running

log = logging.getLogger(__name__)

# Each chunk is an object and a row, so an upload has at most one chunk per SMALL bytes. Beyond
# that it can have SMALL_CHUNKS, because slow senders and interrupted requests cause small ones.
SMALL_CHUNKS = 10_000
SMALL = 1 << 20  # bytes

# Each request makes at least one chunk, and small requests can follow each other fast.
SMALL_REQUEST = 1 << 16  # bytes
TOO_SMALL = (
    f"Requests with less than {SMALL_REQUEST} bytes of an upload come too often. "
    "Send more in each."
)

# Errors of the sender's stream after which the upload can be resumed.
INTERRUPTIONS = errors.BodyIncomplete, errors.ServerStopping, errors.TransferEnded


class ChecksumMismatch(expected_digests.DigestMismatch):
    """The error for a request whose bytes do not have the digest that the client sent with them."""

    code = "checksum-mismatch"


def append(
    image_id: str,
    upload_id: str,
    offset: int,
    blocks: Iterable[bytes],
    actor: Caller,
    *,
    announced: int | None = None,
    expected_digests: Mapping[str, str] | None = None,
) -> Transfer:
    """Append bytes to an upload from byte ``offset`` on; after the last byte, import the data.

    ``announced`` is the number of bytes that the client says it will send; None if it does not
    say. Returns the upload as it is afterwards. Bytes that have arrived are kept even if the
    client's stream fails. With ``expected_digests`` (algorithm -> hexadecimal) they are kept
    only if all bytes have arrived and have these digests.

    Raises ChecksumMismatch for other digests, Conflict (the upload resumes at another byte),
    Locked (another request is sending), OverLimit (more bytes than the upload's size, or too
    many chunks), TooManyRequests (small requests too often; their bytes are not kept),
    NotFound, Gone, StoreError, ContentRefused (as soon as the data is certain to be refused),
    the errors of ``finish``, and those of the client's stream.
    """
    with locked(image_id, actor) as image:
        upload = find_running(image_id, upload_id)
        digests = expected_digests or {}
        blocks = client_bytes.counted(upload, blocks, actor)
        stream = _Stream(blocks, upload, offset, announced, image, digests)
        chunk = _begin_writing(upload)
    failpoint("chunk.begun")
    chunks.remove_each(_lost(upload), CircuitBreaker(), abandoned=True)
    db.release_connection()
    try:
        # The generator can stop early and would keep a block until garbage collection.
        with closing(stream.blocks):
            write(upload, chunk, stream)
    except errors.ContentRefused as error:
        leases.fail(upload, error, actor)
        raise
    if not stream.room:
        failpoint("import.due")
        finish(upload, actor)
    elif stream.interruption:
        log.warning(
            "upload %s of image %s was interrupted after %d bytes: %s",
            upload_id,
            image_id,
            stream.received,
            stream.interruption,
        )
        raise stream.interruption
    return find(image_id, upload_id)


class _Stream:
    """The blocks that a client sends to an upload, checked against its offset and size.

    If the client is interrupted, the blocks end, and the attribute ``interruption`` has the
    error.
    """

    def __init__(
        self,
        blocks: Iterator[bytes],
        upload: Transfer,
        offset: int,
        announced: int | None,
        image: Image,
        digests: Mapping[str, str],
    ) -> None:
        """Check the offset, and the number of bytes that the client has announced.

        ``offset`` is the byte at which the client continues; ``announced`` is None if the client
        did not say how many bytes it sends; ``digests`` are the expected digests of these bytes.
        Raises Conflict for a wrong offset, OverLimit if too many bytes are announced.
        """
        assert upload.bytes_expected is not None
        self.room = upload.bytes_expected - upload.bytes_received
        self.received = 0
        self.announced = announced
        self.expected_digests = digests
        self.is_one_chunk = bool(digests)
        self.interruption: errors.ImageError | None = None
        if offset != upload.bytes_received:
            raise errors.Conflict(
                f"The upload resumes at byte {upload.bytes_received}, not at {offset}."
            )
        if not self.room:
            raise errors.Conflict("All data of the upload has arrived already.")
        if announced is not None and announced > self.room:
            raise _too_much(upload)
        self.blocks = self._checked(blocks, upload)
        self.inspection: Inspector | None = None
        self._project = image.owner or ""
        if not offset:
            # Invalid data is refused at its first MiB, before the client sends the rest in vain.
            formats = image.disk_format or "", image.container_format or ""
            self.inspection = inspection(*formats, f"image {image.pk}")

    def _checked(
        self, blocks: Iterator[bytes], upload: Transfer
    ) -> Generator[bytes, None, None]:
        try:
            for block in blocks:
                if len(block) > self.room:
                    raise _too_much(upload)
                self.room -= len(block)
                self.received += len(block)
                if self.announced is not None:
                    self.announced -= len(block)
                if self.inspection:
                    self.inspection.feed(block)
                yield block
        except INTERRUPTIONS as error:
            self.interruption = error
        if self.room and 0 < self.received < SMALL_REQUEST:
            most = settings.IMAGECATALOG_SMALL_CHUNK_RATE
            key, burst = f"chunk {self._project}", request_rate.BURST * most
            request_rate.count(key, most, burst, TOO_SMALL)

    def check_digests(self, actual: Mapping[str, str]) -> None:
        """Raise ChecksumMismatch unless ``actual`` has the expected digests.

        If the client was interrupted, raises the error ``interruption`` instead.
        """
        try:
            expected_digests.check(self.expected_digests, actual)
        except expected_digests.DigestMismatch as error:
            if self.interruption:
                raise self.interruption from None
            raise ChecksumMismatch(f"{error}. Send these bytes again.") from None

    def has_more(self) -> bool:
        """Return True unless it is certain that no bytes follow. Does not wait for the client."""
        return bool(self.room and self.announced != 0 and not self.interruption)


def _too_much(upload: Transfer) -> errors.OverLimit:
    return errors.OverLimit(
        f"The data exceeds the upload's size of {upload.bytes_expected} bytes."
    )


def _begin_writing(upload: Transfer) -> UploadChunk:
    """Create and return the row of the next chunk, so that only this request writes to the upload.

    The image must be locked. Raises Locked if another request is still sending, OverLimit if
    the upload has too many chunks.
    """
    arriving = upload.chunks.filter(status=ChunkStatus.ARRIVING)
    if arriving.exists():
        if not heartbeat.is_silent(upload):
            raise errors.Locked(
                "Another request is sending data to this upload. Try again when it has ended."
            )
        arriving.update(status=ChunkStatus.LOST)
    _check_chunks(upload)
    upload.worker, upload.heartbeat_at = this_worker(), timezone.now()
    upload.save(update_fields=["worker", "heartbeat_at"])
    return next_chunk(upload, upload.bytes_received)


def _check_chunks(upload: Transfer) -> None:
    # Checked once per request: within a request, the size of a chunk and the heartbeat interval
    # limit the number of chunks.
    most = SMALL_CHUNKS + upload.bytes_received // SMALL
    if upload.chunks.filter(status=ChunkStatus.STORED).count() >= most:
        raise errors.OverLimit(
            f"The upload has {most} chunks, which are too small on average. Cancel the "
            "upload and begin again, with at least 1 MiB in each request."
        )


def _lost(upload: Transfer) -> Iterable[UploadChunk]:
    lost = UploadChunk.objects.filter(transfer=upload, status=ChunkStatus.LOST)
    return lost.select_related("transfer")
