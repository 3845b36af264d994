"""Import plugins, which the operator switches on: they change imported data before it is checked.

The arriving data is compared with the size and the digests that the client has stated for it.
The changed data then passes the checks that the data of every image passes. The client can also
state the size and the digests of the changed data.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from django.conf import settings

from images import expected_digests, lifecycle
from images.failpoints import failpoint
from images.imports import conversion
from images.imports.decompression import decompressed
from images.imports.request import ImportRequest
from images.lifecycle import NOTHING_STATED, SourceStatement
from images.models import Image, Transfer, TransferKind
from images.stores import free_space
from images.stores.digests import Digests, digesting
from images.transfers import heartbeat, quota

DECOMPRESSION = "image_decompression"
CONVERSION = "image_conversion"
AFTER: Final = "expected_after"  # a key of the task's request
# Transfers whose data plugins never change: it stays where it is, or must equal other copies.
UNCHANGED = (TransferKind.IMAGE_COPY, TransferKind.LOCATION)


class ArrivingData(NamedTuple):
    """The data of a transfer as plugins change it, and the digests stated for the original data."""

    blocks: Iterator[bytes]
    source: SourceStatement = NOTHING_STATED


ApplyPlugins = Callable[[Iterator[bytes]], ArrivingData]


def shown(wanted: ImportRequest) -> dict[str, Any]:
    """Return the members of a task that show the expected size and digests of the changed data.

    Empty if the client has stated none.
    """
    return {AFTER: dict(wanted.expected_after)} if wanted.expected_after else {}


def applied(
    image: Image,
    transfer: Transfer,
    blocks: Iterator[bytes],
    check_running: Callable[[], None],
) -> ArrivingData:
    """Return the blocks of a transfer's data as the import plugins change them.

    Only data that clients bring in by the import API is changed. The result also has the digests
    that were stated for the arriving data. The call changes two arguments, without saving them:
    ``transfer`` then expects the size and digests that its client has stated for the changed data.
    ``image`` then has the formats of the changed data, and no longer the properties in which its
    owner states digests, because they are compared with the arriving data. ``check_running`` raises
    an error when the worker is stopping.

    The iteration raises Invalid for data of another size or digest, ContentRefused, OverLimit,
    StoreFull, ProgramFailed, and the errors of ``check_running`` and of ``blocks``.
    """
    changes, after = can_change(image, transfer), _expected_after(transfer)
    if not (changes or after):
        return ArrivingData(blocks)
    decompresses, converts = _decompresses(image), _converts(image)
    size, digests = transfer.bytes_expected, transfer.expected_digests or {}
    transfer.bytes_expected = after.pop("size", None if changes else size)
    transfer.expected_digests = after if changes else {**digests, **after}
    stated = lifecycle.owner_digests(image) if changes else {}
    image.properties = {
        name: value for name, value in image.properties.items() if name not in stated
    }
    source = NOTHING_STATED
    if changes:
        by = "import" if digests else "owner"
        source = SourceStatement({**_by_algorithm(stated), **digests}, by)
        blocks = _kept_alive(transfer, blocks)
    blocks = _compared(lifecycle.counted(image, blocks, size), digests, stated)
    if decompresses:
        blocks = _decompressed(blocks)
    if converts:
        disk_format = image.disk_format or ""
        blocks = _converted(image, transfer, disk_format, blocks, check_running)
        image.disk_format = settings.IMAGECATALOG_CONVERSION_FORMAT
    return ArrivingData(blocks, source)


def can_change(image: Image, transfer: Transfer) -> bool:
    """Return whether a plugin that is switched on can change the data of this transfer."""
    if transfer.task_id is None or transfer.kind in UNCHANGED:
        return False
    return _decompresses(image) or _converts(image)


def _by_algorithm(stated: Mapping[str, str]) -> dict[str, str]:
    # A malformed digest is refused once the transfer is ready for errors.
    algorithms = expected_digests.OWNER_PROPERTIES
    return {algorithms[name]: value.lower() for name, value in stated.items()}


def _expected_after(transfer: Transfer) -> dict[str, Any]:
    return dict((transfer.task_request or {}).get(AFTER, {}))


def _decompresses(image: Image) -> bool:
    is_on = DECOMPRESSION in settings.IMAGECATALOG_IMPORT_PLUGINS
    return is_on and image.container_format != "compressed"


def _converts(image: Image) -> bool:
    is_on = CONVERSION in settings.IMAGECATALOG_IMPORT_PLUGINS
    is_disk = image.container_format == "bare" and image.disk_format in conversion.NAMES
    is_other = image.disk_format != settings.IMAGECATALOG_CONVERSION_FORMAT
    return is_on and is_disk and is_other


def _kept_alive(transfer: Transfer, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the blocks of a transfer's data, and send heartbeats, before plugins change the data.

    Compressed data can have gigabytes that yield nothing, such as zeros after its end.
    """
    beat = heartbeat.at_intervals(transfer)
    for block in blocks:
        beat()
        yield block


def _decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    # A generator, so that nothing is read before the transfer can handle errors.
    for block in decompressed(blocks):
        yield block
        failpoint("decompression.streaming")
    for _ in blocks:  # the digests include the bytes after the only file of a zip file
        pass


def _converted(
    image: Image,
    transfer: Transfer,
    disk_format: str,
    blocks: Iterator[bytes],
    check_running: Callable[[], None],
) -> Iterator[bytes]:
    """Convert a disk from ``disk_format`` to the configured format, and yield the new disk's data.

    Temporary files hold both disks. They have no names, so they disappear even if the process
    is killed.
    """
    check = _check(transfer, check_running)
    output, most = settings.IMAGECATALOG_CONVERSION_FORMAT, _room(image)
    blocks = quota.reserving(transfer, lifecycle.counted(image, blocks, None))
    folder = settings.IMAGECATALOG_DATA_DIR
    with (
        tempfile.TemporaryFile(dir=folder) as source,
        tempfile.TemporaryFile(dir=folder) as target,
    ):
        for block in blocks:
            check()
            source.write(block)
        source.flush()
        failpoint("conversion.begun")
        conversion.convert(source, disk_format, target, output, most, check)
        failpoint("conversion.done")
        yield from conversion.blocks_of(target)


def _room(image: Image) -> int:
    """Return how many bytes the image's data is allowed to have, by the size cap and the quota."""
    left = quota.remaining(image)
    cap: int = settings.IMAGECATALOG_IMAGE_SIZE_CAP
    return cap if left is None else min(cap, max(left, 0))


def _check(transfer: Transfer, check_running: Callable[[], None]) -> Callable[[], None]:
    """Return a function that sends heartbeats of the transfer; it is called while a plugin works.

    The function raises Gone if the transfer was ended, StoreFull if the disk of the data folder
    is full, and the errors of ``check_running``.
    """
    heartbeat.send(transfer)
    beat = heartbeat.at_intervals(transfer)

    def check() -> None:
        check_running()
        free_space.Claim(settings.IMAGECATALOG_DATA_DIR, 0)
        beat()

    return check


def _compared(
    blocks: Iterable[bytes], expected: Mapping[str, str], stated: Mapping[str, str]
) -> Iterator[bytes]:
    """Yield the blocks, and compare their digests with ``expected`` and ``stated``.

    ``expected`` has digests by algorithm; ``stated`` are the custom properties in which the
    image's owner states digests. Raises Invalid after the last block if a digest differs.
    """
    of_owner = expected_digests.of_owner(stated)
    with Digests(*{*expected, *of_owner}) as digests:
        yield from digesting(blocks, digests)
        expected_digests.check(expected, digests.hexdigests())
        expected_digests.check(of_owner, digests.hexdigests())
