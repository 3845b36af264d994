"""Inspection of image data while it streams: its format, and whether it is safe."""

from __future__ import annotations

from images.formats.containers import Inspector, inspection
from images.formats.detection import HEAD, disk_format_of

__all__ = ["HEAD", "Inspector", "disk_format_of", "inspection"]
