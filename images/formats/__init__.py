"""What the bytes of an image are, and whether they are safe; told while they stream."""

from __future__ import annotations

from images.formats.containers import Inspector, inspection
from images.formats.disks import HEAD, disk_format_of

__all__ = ["HEAD", "Inspector", "disk_format_of", "inspection"]
