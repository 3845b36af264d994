"""The environment variables as they are in effect, for operators: without secrets."""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

from imagecatalog import env

# Names of variables whose values are secrets.
SECRET: Final = re.compile("(PASSWORD|SECRET|TOKEN|KEYS?|KEY_FALLBACKS)$")
# The password in a URL, and the value of an option in the URL's query.
PASSWORD: Final = re.compile(r"(://[^/?#,\s:@]*:)[^/?#,\s]*(?=@)")
OPTION: Final = re.compile(
    r"([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&,\s]*", re.IGNORECASE
)
HIDDEN: Final = "*****"


class Effective(NamedTuple):
    """A variable with the value that is in effect.

    ``source`` is ``environment``, ``file`` or ``default``; ``file`` is the path of the file.
    """

    name: str
    value: str
    source: str
    file: str | None


def variables() -> list[Effective]:
    """Return all variables that are declared so far, with secrets replaced by asterisks."""
    return [_effective(one) for one in env.VARIABLES.values()]


def _effective(one: env.Variable) -> Effective:
    if not one.is_set:
        documented = one.default.replace("`", "").removeprefix("–")
        return Effective(one.name, one.value or documented, "default", None)
    file = os.environ.get(f"{one.name}{env.FILE}", "").strip() or None
    source = "file" if file else "environment"
    return Effective(one.name, _masked(one.name, one.value), source, file)


def _masked(name: str, value: str) -> str:
    if SECRET.search(name):
        return HIDDEN
    without_password = PASSWORD.sub(rf"\1{HIDDEN}", value)
    return OPTION.sub(rf"\1{HIDDEN}", without_password)
