"""Imports of image data by a background worker, by the methods of the import API.

A request queues a transfer, which clients see as a task; a background worker carries it out.
There is one module for each method, and the module ``methods`` is their registry.
"""

from __future__ import annotations

from images.imports.checksum_file import name_in
from images.imports.methods import check_staging, names
from images.imports.published_digests import file_of as checksum_file_of
from images.imports.request import (
    ChecksumFile,
    ImportRequest,
    RemoteReference,
    document,
)
from images.imports.requesting import check_image, import_new, request_import
from images.transfers.sources import masked

__all__ = [
    "ChecksumFile",
    "ImportRequest",
    "RemoteReference",
    "check_image",
    "check_staging",
    "checksum_file_of",
    "document",
    "import_new",
    "masked",
    "name_in",
    "names",
    "request_import",
]
