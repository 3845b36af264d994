"""Plugins that the operator switches on: they change what clients import before it is checked.

The data that arrives is compared with the size and the digests that its client stated, and what
comes out passes the checks of every image.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from django.conf import settings

from images import expected_digests, lifecycle
from images.imports.decompression import decompressed
from images.models import Image, Transfer
from images.stores.digests import Digests, digesting

DECOMPRESSION = "image_decompression"


def applied(
    image: Image, transfer: Transfer, blocks: Iterator[bytes]
) -> Iterator[bytes]:
    """Return the data that a transfer brings in, as the plugins change it.

    After this call the transfer expects neither the size nor the digests of the data that
    arrives. Only what clients of the import API ask for is changed. The iteration raises
    Invalid for data of another size or digest, ContentRefused, and what the blocks raise.
    """
    if transfer.task_id is None or not _decompresses(image):
        return blocks
    size, digests = transfer.bytes_expected, transfer.expected_digests
    transfer.bytes_expected, transfer.expected_digests = None, {}
    counted = lifecycle.counted(image, blocks, size)
    return _decompressed(_compared(counted, digests or {}))


def _decompresses(image: Image) -> bool:
    is_on = DECOMPRESSION in settings.IMAGECATALOG_IMPORT_PLUGINS
    return is_on and image.container_format != "compressed"


def _decompressed(blocks: Iterator[bytes]) -> Iterator[bytes]:
    # In a generator, so that nothing is read before the transfer is ready for errors.
    yield from decompressed(blocks)
    for _ in blocks:  # what a zip file has behind its only file is compared, too
        pass


def _compared(blocks: Iterable[bytes], expected: Mapping[str, str]) -> Iterator[bytes]:
    with Digests(*expected) as digests:
        yield from digesting(blocks, digests)
        expected_digests.check(expected, digests.hexdigests())
