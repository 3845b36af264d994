"""Plugins that the operator switches on: they change imported data before it is checked.

The data that arrives is compared with the size and the digests that its client stated, and the
changed data passes the checks of every image. The client can state the size and the digests of
the changed data, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final

from django.conf import settings

from images import expected_digests, lifecycle
from images.failpoints import failpoint
from images.imports import conversion
from images.imports.decompression import decompressed
from images.imports.request import ImportRequest
from images.models import Image, Transfer, TransferKind
from images.stores import free_space
from images.stores.digests import Digests, digesting
from images.transfers import heartbeat, quota

DECOMPRESSION = "image_decompression"
CONVERSION = "image_conversion"
AFTER: Final = "expected_after"  # of the task's request
# The data of these is already where it stays, or is that of other copies.
UNCHANGED = (TransferKind.IMAGE_COPY, TransferKind.LOCATION)


def shown(wanted: ImportRequest) -> dict[str, Any]:
    """Return what the task of a request keeps of the expected changed data."""
    return {AFTER: dict(wanted.expected_after)} if wanted.expected_after else {}


def applied(
    image: Image,
    transfer: Transfer,
    blocks: Iterator[bytes],
    check_running: Callable[[], None],
) -> Iterator[bytes]:
    """Return the data that a transfer brings in, as the plugins change it.

    After this call the transfer expects the size and the digests of what comes out, if its
    client has stated them, and the image, which is not saved, has the formats of that, and no
    digests of its owner, which are those of the data that arrives. Only what clients of the
    import API bring in is changed, not what the image has. ``check_running`` raises an error
    when the worker is being stopped.

    The iteration raises Invalid for data of another size or digest, ContentRefused, OverLimit,
    StoreFull, ProgramFailed, and what ``check_running`` and the blocks raise.
    """
    changes, after = can_change(image, transfer), _expected_after(transfer)
    if not (changes or after):
        return blocks
    decompresses, converts = _decompresses(image), _converts(image)
    size, digests = transfer.bytes_expected, transfer.expected_digests
    transfer.bytes_expected = after.pop("size", None if changes else size)
    transfer.expected_digests = after
    stated = lifecycle.owner_digests(image) if changes else {}
    image.properties = {
        name: value for name, value in image.properties.items() if name not in stated
    }
    blocks = _compared(lifecycle.counted(image, blocks, size), digests or {}, stated)
    if decompresses:
        blocks = _decompressed(blocks)
    if converts:
        disk_format = image.disk_format or ""
        blocks = _converted(image, transfer, disk_format, blocks, check_running)
        image.disk_format = settings.IMAGECATALOG_CONVERSION_FORMAT
    return blocks


def can_change(image: Image, transfer: Transfer) -> bool:
    """Return whether a plugin can change the data that a transfer brings in."""
    if transfer.task_id is None or transfer.kind in UNCHANGED:
        return False
    return _decompresses(image) or _converts(image)


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


def _decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    # In a generator, so that nothing is read before the transfer is ready for errors.
    for block in decompressed(blocks):
        yield block
        failpoint("decompression.streaming")
    for _ in blocks:  # what a zip file has behind its only file is compared, too
        pass


def _converted(
    image: Image,
    transfer: Transfer,
    disk_format: str,
    blocks: Iterator[bytes],
    check_running: Callable[[], None],
) -> Iterator[bytes]:
    """Yield a disk in the wanted format. The files have no names: they end with the process."""
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
    """Return how many bytes the image may have: the cap, or what its project's quota leaves."""
    left = quota.remaining(image)
    cap: int = settings.IMAGECATALOG_IMAGE_SIZE_CAP
    return cap if left is None else min(cap, max(left, 0))


def _check(transfer: Transfer, check_running: Callable[[], None]) -> Callable[[], None]:
    """Return a function that keeps a transfer alive while nothing of it can be stored yet.

    It raises Gone when the transfer was ended, StoreFull when the disk of the data folder is
    full, and what ``check_running`` raises.
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
    """Yield blocks that have the digests ``expected`` and those of the owner's properties."""
    of_owner = expected_digests.of_owner(stated)
    with Digests(*{*expected, *of_owner}) as digests:
        yield from digesting(blocks, digests)
        expected_digests.check(expected, digests.hexdigests())
        expected_digests.check(of_owner, digests.hexdigests())
