"""Refusal of disks in the format QED, which no consumer supports any more."""

from __future__ import annotations

from collections.abc import Iterator

from oslo_utils.imageutils import format_inspector as oslo

from images.formats.verdicts import Objection


class Qed(oslo.QEDInspector):
    """The inspector of a QED disk, which refuses every such disk."""

    def objections(self, size: int | None) -> Iterator[Objection]:
        """Yield one Objection, because the format is not allowed."""
        yield Objection("qed_banned", "This file format is not allowed")
