"""Publishing of image families over HTTP, as files and indexes for clients without an Image API."""

from __future__ import annotations


class SigningError(Exception):
    """The error for a signature that cannot be made; the message says what an operator must do."""
