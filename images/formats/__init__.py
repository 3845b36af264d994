"""Inspection of image data while it streams: which format it has, and whether it is safe."""

from __future__ import annotations

from images.formats.containers import Inspector, inspection

__all__ = ["Inspector", "inspection"]
