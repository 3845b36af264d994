"""Arguments of command lines that choose some of several names."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Collection


def some_of(names: Collection[str]) -> Callable[[str], list[str]]:
    """Return the type of an argument of argparse: some of these names, with commas between them."""

    def chosen(text: str) -> list[str]:
        found = text.split(",")
        if unknown := set(found) - set(names):
            raise argparse.ArgumentTypeError(
                f"{', '.join(sorted(unknown))}: choose from {', '.join(names)}"
            )
        return found

    return chosen
