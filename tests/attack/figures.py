"""Figures with their limits, and the table of them. Measures nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Figure:
    """A line of the table. ``value`` is at most the limit, or at least, as ``least`` says."""

    title: str
    value: float
    limit: float
    unit: str = ""
    least: bool = False
    note: str = ""

    @property
    def kept(self) -> bool:
        return self.value >= self.limit if self.least else self.value <= self.limit

    def cells(self) -> tuple[str, ...]:
        """Title, value, limit, unit, verdict, note."""
        bound = f"{'>=' if self.least else '<='} {self.limit:g}"
        verdict = "ok" if self.kept else "BROKEN"
        note = " ".join(self.note.split())
        return (self.title, _shown(self.value), bound, self.unit, verdict, note)


def percentile(samples: Sequence[float], share: float) -> float:
    """The least sample that this share of them does not exceed; infinity without samples."""
    if not samples:
        return float("inf")
    ordered = sorted(samples)
    return ordered[min(int(share * len(ordered)), len(ordered) - 1)]


def table(figures: Sequence[Figure]) -> str:
    """Aligned columns; text to the left, numbers to the right."""
    head = ("figure", "measured", "limit", "unit", "", "note")
    lines = [head, *(figure.cells() for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if column in (1, 2) else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
