"""The ways of the life cycle, read from the state machine itself."""

from __future__ import annotations

from typing import NamedTuple

from images.models.image import Image


class Edge(NamedTuple):
    """One way along the life cycle."""

    name: str  # of the transition's method
    source: str
    target: str
    meaning: str


def _edges() -> tuple[Edge, ...]:
    field = Image._meta.get_field("status")
    found = [
        Edge(way.name, str(way.source), str(target), (way.method.__doc__ or "").strip())
        for way in field.get_all_transitions(Image)  # type: ignore[union-attr]
        for target in getattr(way.target, "allowed_states", [way.target])
    ]
    return tuple(sorted(found))


EDGES = _edges()
