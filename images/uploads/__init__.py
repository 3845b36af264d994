"""Resumable uploads and staged data: received in chunks, then imported into the image.

This package builds on ``images.lifecycle``: a resumable upload is a Transfer that can pause, and
its import checks the data like every other upload. Staged data comes in one request, and is
imported when a client asks for it.
"""

from __future__ import annotations

from images.uploads.finishing import finish, finish_waiting
from images.uploads.receiving import ChecksumMismatch, append
from images.uploads.staged import stage
from images.uploads.staging import (
    begin,
    filename,
    find,
    find_not_failed,
    is_sending,
    phase,
    terminate,
    uploads,
)

__all__ = [
    "ChecksumMismatch",
    "append",
    "begin",
    "filename",
    "find",
    "find_not_failed",
    "finish",
    "finish_waiting",
    "is_sending",
    "phase",
    "stage",
    "terminate",
    "uploads",
]
