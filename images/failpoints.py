"""Failpoints: named places in the code at which a crash test can kill the process.

They have no effect unless the variable IMAGECATALOG_CRASH_FILE names a file. The first process that
reaches the failpoint named in that file removes the file and dies.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "upload.begun",  # the row says saving, no byte has been read
    "upload.stored",  # the object is complete, the row is not updated
    # In every transfer: an upload, a web download, an import.
    "data.streaming",  # the store has the first block
    "data.received",  # the store has all blocks, the object is not complete
    "data.active",  # committed, no response yet
    "data.failed",  # a transfer failed, its row is not updated
    "data.ended",  # the row is updated, the object is not removed
    "data.cleaned",  # the object is removed, the transfer's row is not updated
    "web_download.requested",  # committed, no response yet
    "web_download.claimed",  # the row says saving, no request was sent
    "web_download.streaming",  # a part of the data has arrived
    "web_download.received",  # the store has all blocks, the object is not complete
    "web_download.stored",  # the object is complete, the row is not updated
    "glance_download.claimed",  # the row says importing, no request was sent
    "glance_download.described",  # the image's formats are known, no data was requested
    "glance_download.streaming",  # a part of the data has arrived
    "glance_download.received",  # the store has all blocks, the object is not complete
    "target.stored",  # one of several stores has its object, the others may not
    "location.requested",  # the row says importing, no response yet
    "location.claimed",  # no request was sent to the web server
    "location.stored",  # all data is checked, the row is not updated
    "chunk.begun",  # the row exists, no byte has been read
    "chunk.stored",  # the object is complete, the chunk is not counted yet
    "chunk.counted",  # committed, the next chunk has not begun
    "chunk.removed",  # the object is removed, the row is not
    "import.requested",  # committed, no response yet
    "injection.set",  # the properties are set, nothing is committed
    "stage.begun",  # the row says uploading, no byte has been read
    "stage.stored",  # all chunks are stored, the row does not say so
    "import.due",  # all chunks are stored, no import has begun
    "import.begun",  # the row says importing, no chunk has been read
    "import.stored",  # the object is complete, the row is not updated
    "decompression.streaming",  # a part of the decompressed data has passed
    "conversion.begun",  # the disk is in a file without a name, qemu-img has not started
    "conversion.done",  # qemu-img has ended, none of its output was read
    "image_copy.claimed",  # no byte was read from the other store
    "image_copy.stored",  # the object is complete, it is no location yet
    "cache.begun",  # the folder contains the empty part file
    "cache.renamed",  # the data has its final name, but no record of its uses
    "cache.filled",  # the entry is complete, the last block is not sent
    "cache.removing",  # of the two files of an entry one at least is removed
    "local.created",  # the folder contains the empty part file
    "local.renamed",  # the file has its final name, the folder is not synced
    "delete.marked",  # committed, the object still exists
    "delete.removed",  # the object is removed, the location's row is not updated
    "scrub.marked",
    "restore.done",
    "locations.changed",
    "reap.found",
)


def failpoint(name: str) -> None:
    """Kill the process (SIGKILL) if a crash test has chosen the failpoint ``name``."""
    if note := os.environ.get("IMAGECATALOG_CRASH_FILE"):
        assert name in POINTS, name
        _die_if_asked(name, note)


def _die_if_asked(name: str, note: str) -> None:
    try:
        with open(note) as file:
            if file.read() != name:
                return
        os.unlink(note)  # succeeds in one process only
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
