"""A plot of how times grow with the catalogue, as SVG: both axes logarithmic."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from html import escape
from statistics import median

WIDTH, HEIGHT = 820, 470
LEFT, TOP, RIGHT, BOTTOM = 90, 20, 270, 50  # margins
COLOURS = ("#0b6e99", "#c2410c", "#15803d", "#7e22ce", "#b91c1c", "#4d7c0f", "#334155")
STYLE = (
    "text { font: 13px sans-serif; fill: #333 } .grid { stroke: #ccc }"
    " @media (prefers-color-scheme: dark) { .page { fill: #1c1c1c }"
    " text { fill: #ddd } .grid { stroke: #555 } }"
)
Line = Mapping[int, Sequence[float]]  # ms by images


class _Scale:
    """A logarithmic axis that covers whole powers of ten."""

    def __init__(self, values: Sequence[float], start: float, end: float) -> None:
        self.first = math.floor(math.log10(min(values)))
        self.last = max(math.ceil(math.log10(max(values))), self.first + 1)
        self._start, self._end = start, end

    def at(self, value: float) -> float:
        share = (math.log10(value) - self.first) / (self.last - self.first)
        return self._start + share * (self._end - self._start)

    def powers(self) -> list[float]:
        return [10.0**power for power in range(self.first, self.last + 1)]


def svg(lines: Mapping[str, Line]) -> str:
    """Return the plot of the medians of lines, each with its title beside its end."""
    medians = {
        title: {images: median(times) for images, times in line.items()}
        for title, line in lines.items()
    }
    sizes = [images for line in medians.values() for images in line]
    times = [value for line in medians.values() for value in line.values()]
    across = _Scale(sizes, LEFT, WIDTH - RIGHT)
    up = _Scale(times, HEIGHT - BOTTOM, TOP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}"'
        f' role="img" aria-label="Processor time by number of images">',
        f"<style>{STYLE}</style>",
        f'<rect class="page" width="{WIDTH}" height="{HEIGHT}" fill="#fff"/>',
        *_grid(across, up),
        *_lines(medians, across, up),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _grid(across: _Scale, up: _Scale) -> Iterator[str]:
    for value in up.powers():
        y = up.at(value)
        yield f'<path class="grid" d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}"/>'
        yield _text(LEFT - 8, y + 4, f"{value:,g} ms", "end")
    for value in across.powers():
        x = across.at(value)
        yield f'<path class="grid" d="M{x:.1f} {TOP}V{HEIGHT - BOTTOM}"/>'
        yield _text(x, HEIGHT - BOTTOM + 20, f"{value:,.0f}", "middle")
    yield _text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 8, "images", "middle")


def _lines(
    medians: Mapping[str, Mapping[int, float]], across: _Scale, up: _Scale
) -> Iterator[str]:
    ends = {title: up.at(line[max(line)]) for title, line in medians.items()}
    lowest = 0.0  # place of a title: below the one before
    for number, title in enumerate(sorted(ends, key=lambda title: ends[title])):
        colour = COLOURS[number % len(COLOURS)]
        points = [
            (across.at(images), up.at(value))
            for images, value in sorted(medians[title].items())
        ]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in points)
        yield f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"/>'
        for x, y in points:
            yield f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3" fill="{colour}"/>'
        x, y = points[-1]
        lowest = max(y, lowest + 17)
        yield (
            f'<path d="M{x:.1f} {y:.1f}L{x + 14:.1f} {lowest:.1f}" stroke="{colour}"'
            ' fill="none" opacity="0.5"/>'
        )
        yield _text(x + 18, lowest + 4, title, "start")


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
