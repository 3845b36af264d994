"""Named places at which a test may kill the process, between a row and its bytes.

Off unless the variable IMAGECATALOG_CRASH_FILE names a file. The first process that passes
the place whose name is in that file removes it, and dies.
"""

from __future__ import annotations

import os
import signal

POINTS = (
    "upload.begun",  # the row says saving, not a byte has been read
    "upload.stored",  # the object is complete, the row does not know
    # Of every attempt to bring data in: an upload, a copy, an import.
    "data.streaming",  # the first block is in the store's hands
    "data.received",  # the store has all blocks, the object is not complete
    "data.active",  # committed, not answered
    "data.failed",  # an attempt broke off, its row does not know
    "data.ended",  # the row knows, the bytes are not cleaned
    "data.cleaned",  # the bytes are gone, the attempt's row does not know
    "web_download.requested",  # committed, not answered
    "web_download.claimed",  # the row says saving, the web server was not asked
    "web_download.streaming",  # some of the web server's bytes have come
    "web_download.received",  # all of them are in the store's hands, the object is not complete
    "web_download.stored",  # the object is complete, the row does not know
    "chunk.begun",  # the row is there, not a byte has been read
    "chunk.stored",  # the object is complete, it does not count yet
    "chunk.counted",  # committed, the next one is due
    "chunk.removed",  # the bytes are gone, the row is not
    "import.due",  # all chunks are there, nobody makes an image of them
    "import.begun",  # the row says importing, not a chunk has been read
    "import.stored",  # the object is complete, the row does not know
    "local.created",  # the folder has the empty part file
    "local.renamed",  # the file has its name, the folder is not synced
    "delete.marked",  # committed, the bytes are still there
    "delete.removed",  # the bytes are gone, the location's row does not know
    "scrub.marked",
    "restore.done",
    "locations.changed",
    "reap.found",
)


def failpoint(name: str) -> None:
    """Die here, as by kill -9, when the operator of a crash test asked for it."""
    if note := os.environ.get("IMAGECATALOG_CRASH_FILE"):
        assert name in POINTS, name
        _die_if_asked(name, note)


def _die_if_asked(name: str, note: str) -> None:
    try:
        with open(note) as file:
            if file.read() != name:
                return
        os.unlink(note)  # of several processes only one can
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
