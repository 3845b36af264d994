"""Further names of families in indexes, where each name must mean one family."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple


class Names(NamedTuple):
    """The name of a family, its aliases, and the architecture of its images.

    ``derived`` are aliases that nobody has chosen: another family can have them as chosen ones.
    """

    name: str
    chosen: Sequence[str]
    architecture: str
    derived: Sequence[str] = ()


def unambiguous(families: Sequence[Names]) -> list[list[str]]:
    """Return the aliases of each family that mean no other family of its architecture.

    Clients would take one of several families at random, or fail. The name of a family is always
    its own.
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
