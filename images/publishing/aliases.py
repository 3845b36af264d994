"""Further names of families in indexes, where each name must mean one family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Names(NamedTuple):
    """The name of a family, its aliases, and the architecture of its images."""

    name: str
    aliases: Sequence[str]
    architecture: str


def unambiguous(families: Sequence[Names]) -> list[list[str]]:
    """Return the aliases of each family that no other family of its architecture has.

    Clients would choose one of several families at random, or fail. The name of a family is always
    its own.
    """
    claims = Counter(
        (one.architecture, name)
        for one in families
        for name in {one.name, *one.aliases}
    )
    return [
        [
            alias
            for alias in dict.fromkeys(one.aliases)
            if alias != one.name and claims[one.architecture, alias] == 1
        ]
        for one in families
    ]
