"""Figures to text: medians, ratios, verdicts, an aligned table. Measures nothing."""

from __future__ import annotations

import os
import platform
import re
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from statistics import median

import psutil


@dataclass
class Figure:
    """A line of the benchmark's table. ``limit`` is absolute, ``must`` and ``aim`` are ratios to the peer."""

    title: str
    unit: str
    ours: list[float]
    peer: list[float]
    must: float = 0
    limit: float = 0
    aim: float = 0

    @property
    def ratio(self) -> float | None:
        """How many times better ours is.

        None without a peer, for memory, and for ratios to another measurement of ours.
        """
        if not self.ours or not self.peer or self.unit in ("MiB", "x one"):
            return None
        ours, peer = median(self.ours), median(self.peer)
        return peer / ours if self.unit == "ms" else ours / peer

    @property
    def verdict(self) -> str:
        """ok, below the aim, or MISSED; empty where there is nothing to compare."""
        if self.limit and self.ours:
            return "ok" if median(self.ours) <= self.limit else "MISSED"
        if self.ratio is None or not self.must:
            return ""
        if self.ratio < self.must:
            return "MISSED"
        return "ok" if self.ratio >= self.aim else "below the aim"

    def cells(self) -> tuple[str, ...]:
        """Title, unit, ours, peer, ratio, must, aim, verdict."""
        must = f"{self.must:g}x" if self.must else ""
        must = f"<= {self.limit:.3g}" if self.limit else must
        aim = f"{self.aim:g}x" if self.aim else ""
        ratio = "" if self.ratio is None else f"{self.ratio:.2f}x"
        ours, peer = shown(self.ours), shown(self.peer)
        return (self.title, self.unit, ours, peer, ratio, must, aim, self.verdict)

    def data(self) -> dict[str, object]:
        """For --json."""
        return {**vars(self), "ratio": self.ratio, "verdict": self.verdict}


def shown(samples: Sequence[float]) -> str:
    """The median with three significant digits."""
    if not samples:
        return "-"
    value = median(samples)
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"


def table(figures: Sequence[Figure], names: tuple[str, str]) -> str:
    """Aligned columns; text to the left, numbers to the right."""
    head = ("median of all samples", "unit", *names, "ratio", "must", "aim", "")
    lines = [head, *(figure.cells() for figure in figures)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            text.rjust(width) if 2 <= column <= 6 else text.ljust(width)
            for column, (text, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def machine() -> str:
    """Cores, processor, memory, system and versions, on one line."""
    packages = ("django", "djangorestframework", "gunicorn", "psycopg")
    parts = [
        f"{os.cpu_count()} cores",
        processor(),
        f"{psutil.virtual_memory().total / 2**30:.0f} GiB",
        f"{platform.system()} {platform.release()}",
        f"Python {platform.python_version()}",
        *(f"{name} {installed(name)}" for name in packages),
    ]
    return ", ".join(parts)


def processor() -> str:
    info = Path("/proc/cpuinfo")
    text = info.read_text() if info.exists() else ""
    found = re.search(r"model name\s*:\s*(.+)", text)
    return found.group(1) if found else platform.processor() or "unknown processor"


def installed(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "-"
