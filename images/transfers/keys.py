"""The keys under which transfers store objects."""

from __future__ import annotations

from uuid import UUID


def key_of(image_id: str, attempt: UUID) -> str:
    """Return a unique key for the stored object of a transfer; it contains the image's id.

    ``attempt`` is a UUID that no other object has, such as the transfer's id.
    """
    return f"{image_id[:2].lower()}/{image_id}.{attempt.hex}"
