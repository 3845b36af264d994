"""Inspection of image data while it streams: its format, and whether it is safe."""

from __future__ import annotations

from images.formats.containers import Inspector, inspection

__all__ = ["Inspector", "inspection"]
