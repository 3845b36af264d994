"""Inspection of LUKS headers of both versions; the encrypted data itself can be anything.

oslo.utils knows version 1 only.
"""

from __future__ import annotations

import json
from collections.abc import Iterator

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection

BINARY = 4096  # bytes before the JSON area of version 2
SLICE = 64 << 10


class Luks(oslo.LUKSInspector):
    """The inspector of a disk that is encrypted with LUKS."""

    def _initialize(self) -> None:
        super()._initialize()
        # The beginning of the JSON area, which is 12 KiB long unless one asks for more.
        self.new_region("json", oslo.CaptureRegion(0, SLICE, min_length=592))

    @property
    def version(self) -> int:
        """The version of LUKS that the header states."""
        return int.from_bytes(self.region("header").data[6:8], "big")

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield an Objection for each safety check that the data fails.

        ``size`` is the number of bytes of all data, or None if the end of the data is not reached
        yet.
        """
        if self.version not in (1, 2):
            yield Objection("luks_version", f"LUKS version {self.version} is unknown")

    def payload_offset(self) -> int:
        """Return the offset in bytes at which the encrypted data begins.

        If the header is malformed, raises an exception of any class.
        """
        if self.version == 1:
            return 512 * int(self.header_items["payload_offset"])
        area = bytes(self.region("json").data[BINARY:]).partition(b"\0")[0]
        segments = json.loads(area)["segments"].values()
        return min(int(segment["offset"]) for segment in segments)
