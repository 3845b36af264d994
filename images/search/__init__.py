"""The search for images by words, and the database index that makes it fast."""

from __future__ import annotations

from images.search.words import matching

__all__ = ["matching"]
