"""Publishing: families as files and indexes for programs that know no Image API."""

from __future__ import annotations


class SigningError(Exception):
    """The error if nothing can be signed; the message is for operators and says what to do."""
