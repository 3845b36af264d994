"""The transitions of an image's status, read from the methods of the model Image."""

from __future__ import annotations

from typing import NamedTuple

from images.models.image import Image


class Edge(NamedTuple):
    """A transition from one status of an image to another."""

    name: str  # name of the transition method
    source: str
    target: str
    meaning: str  # a sentence for users


def _edges() -> tuple[Edge, ...]:
    field = Image._meta.get_field("status")
    edges = [
        Edge(
            transition.name,
            str(transition.source),
            str(target),
            _meaning(transition.method.__doc__ or ""),
        )
        for transition in field.get_all_transitions(Image)
        for target in getattr(transition.target, "allowed_states", [transition.target])
    ]
    return tuple(sorted(edges))


def _meaning(docstring: str) -> str:
    sentence = docstring.splitlines()[0].partition(": ")[2]
    return sentence[:1].upper() + sentence[1:]


EDGES = _edges()
