"""The diagram of the life cycle of images: a box for each status, a line for each transition.

This module has the positions of the boxes; the transitions come from the model.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from itertools import product
from math import hypot, inf
from typing import Any

from django.urls import reverse

from images.admin import formatting
from images.models import EDGES, Status

WIDTH, HEIGHT = 1010, 300
BOX, TALL = 124, 46  # width and height of the box of a status
ASIDE = 6.0  # distance of a line from the line between the centres
TOP, BOTTOM = 12, 288  # y of the lines to `deleted`

CENTRES: Mapping[str, tuple[int, int]] = {
    Status.QUEUED: (75, 150),
    Status.SAVING: (265, 70),
    Status.UPLOADING: (265, 230),
    Status.IMPORTING: (445, 230),
    Status.KILLED: (445, 70),
    Status.ACTIVE: (590, 150),
    Status.DEACTIVATED: (755, 70),
    Status.PENDING_DELETE: (755, 230),
    Status.DELETED: (935, 150),
}


@dataclass(frozen=True)
class Node:
    """The box of a status in the diagram: its position, label, link and number of images."""

    status: str
    label: str
    x: float
    y: float
    url: str
    count: int | None
    current: bool

    @property
    def shown(self) -> str:
        """The number of images in this status, as text; empty if the diagram shows no numbers."""
        return "" if self.count is None else f"{self.count:,}"

    @property
    def text_y(self) -> float:
        """The y coordinate of the label in the box."""
        return self.y + TALL / 2 + (5 if self.count is None else -4)

    @property
    def count_y(self) -> float:
        """The y coordinate of the number of images in the box."""
        return self.y + TALL / 2 + 14

    @property
    def middle(self) -> float:
        """The x coordinate of the centre of the box, for the label and the number."""
        return self.x + BOX / 2


@dataclass(frozen=True)
class Line:
    """A transition in the diagram: its SVG path, and its meaning as text.

    ``taken`` says that the transition is highlighted.
    """

    path: str
    meaning: str
    taken: bool


def diagram(
    *,
    counts: Mapping[str, int] | None = None,
    current: str = "",
    taken: Collection[tuple[str, str]] = (),
) -> dict[str, Any]:
    """Return the template context of the diagram, in which each status links to its images.

    ``counts`` are the numbers of images by status, ``current`` is the status to highlight,
    ``taken`` are the transitions to highlight, as (source, target).
    """
    images = reverse("admin:images_image_changelist")
    nodes = [
        Node(
            status,
            formatting.status_name(status),
            x - BOX / 2,
            y - TALL / 2,
            f"{images}?status={status}",
            counts.get(status, 0) if counts is not None else None,
            status == current,
        )
        for status, (x, y) in CENTRES.items()
    ]
    lines = [
        Line(_path(source, target), _meaning(source, target), (source, target) in taken)
        for source, target in product(CENTRES, CENTRES)
        if _meaning(source, target)
    ]
    return {
        "nodes": nodes,
        "lines": lines,
        "width": WIDTH,
        "height": HEIGHT,
        "box": BOX,
        "tall": TALL,
        "history": bool(taken) or bool(current),
    }


def _meaning(source: str, target: str) -> str:
    meanings = [edge.meaning for edge in EDGES if edge[1:3] == (source, target)]
    return f"{source} → {target}: {' '.join(meanings)}" if meanings else ""


def _path(source: str, target: str) -> str:
    if target == Status.DELETED and source != Status.PENDING_DELETE:
        return _around(source)
    (x1, y1), (x2, y2) = CENTRES[source], CENTRES[target]
    dx, dy = x2 - x1, y2 - y1
    length = hypot(dx, dy)
    # Each line is drawn to its right, so that opposite transitions do not overlap.
    aside_x, aside_y = -dy / length * ASIDE, dx / length * ASIDE
    start = _border(aside_x, aside_y, dx, dy, 0)
    end = _border(aside_x, aside_y, -dx, -dy, 4)
    return (
        f"M{x1 + start[0]:.1f} {y1 + start[1]:.1f}L{x2 + end[0]:.1f} {y2 + end[1]:.1f}"
    )


def _border(
    x: float, y: float, dx: float, dy: float, gap: float
) -> tuple[float, float]:
    """Return the point at which a line that begins inside a box crosses the border of the box.

    The line starts at (x, y) and runs in the direction (dx, dy); ``gap`` enlarges the box on each
    side. All points are relative to the centre of the box.
    """
    half_x, half_y = BOX / 2 + gap, TALL / 2 + gap
    to_side = (half_x - x * (1 if dx > 0 else -1)) / abs(dx) if dx else inf
    to_edge = (half_y - y * (1 if dy > 0 else -1)) / abs(dy) if dy else inf
    far = min(to_side, to_edge)
    return x + dx * far, y + dy * far


def _around(source: str) -> str:
    """Return the SVG path of a transition from ``source`` to the status deleted, around other boxes."""
    x, y = CENTRES[source]
    end_x, end_y = CENTRES[Status.DELETED]
    upper = y < HEIGHT / 2
    margin, out = (TOP, -1) if upper else (BOTTOM, 1)
    return (
        f"M{x} {y + out * TALL / 2:.1f}V{margin}H{end_x}"
        f"V{end_y + out * (TALL / 2 + 5):.1f}"
    )
