"""Data that comes in several steps: staged chunk by chunk, then made an image of.

On top of ``images.lifecycle``: a staged upload is a Transfer of its own that may pause, and
what it has received goes the way of all data in the end.
"""

from __future__ import annotations

from images.uploads.finishing import finish, finish_waiting
from images.uploads.receiving import append
from images.uploads.staging import (
    begin,
    filename,
    find,
    kept,
    phase,
    terminate,
    uploads,
)

__all__ = [
    "append",
    "begin",
    "filename",
    "find",
    "finish",
    "finish_waiting",
    "terminate",
    "kept",
    "phase",
    "uploads",
]
