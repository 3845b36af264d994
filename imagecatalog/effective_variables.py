"""The values of environment variables that are in effect, for operators: without secrets."""

from __future__ import annotations

import os
from typing import NamedTuple

from imagecatalog import env, masking


class EffectiveVariable(NamedTuple):
    """A variable with the value that is in effect.

    ``source`` is ``environment``, ``file`` or ``default``; ``file`` is the path of the file.
    """

    name: str
    value: str
    source: str
    file: str | None


def listed() -> list[EffectiveVariable]:
    """Return all variables that are declared so far, with asterisks in place of secrets."""
    return [_effective(variable) for variable in env.VARIABLES.values()]


def _effective(variable: env.Variable) -> EffectiveVariable:
    if not variable.is_set:
        documented = variable.default.replace("`", "").removeprefix("–")
        return EffectiveVariable(
            variable.name, variable.value or documented, "default", None
        )
    file = os.environ.get(f"{variable.name}{env.FILE}", "").strip() or None
    source = "file" if file else "environment"
    return EffectiveVariable(
        variable.name, masking.masked(variable.name, variable.value), source, file
    )
