"""Aliases of families in indexes, where each name must stand for only one family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Names(NamedTuple):
    """The name of a family, its aliases, and the architecture of its images.

    ``chosen`` aliases were set for the family. ``derived`` aliases are made from the properties of
    its image, and yield to a name or chosen alias of another family.
    """

    name: str
    chosen: Sequence[str]
    architecture: str
    derived: Sequence[str] = ()


def unambiguous(families: Sequence[Names]) -> list[list[str]]:
    """Return for each family its aliases that no other family of its architecture has.

    With an alias of several families, clients would take one of them at random, or fail. An alias
    that is the name of a family is left out, too.
    """
    claims = Counter(
        (one.architecture, name) for one in families for name in {one.name, *one.chosen}
    )
    derived = Counter(
        (one.architecture, name) for one in families for name in set(one.derived)
    )

    def is_own(one: Names, alias: str) -> bool:
        place = one.architecture, alias
        if alias in one.chosen:
            return alias != one.name and claims[place] == 1
        return not claims[place] and derived[place] == 1

    return [
        [
            alias
            for alias in dict.fromkeys((*one.chosen, *one.derived))
            if is_own(one, alias)
        ]
        for one in families
    ]
