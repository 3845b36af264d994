"""The values of environment variables that are in effect, for operators: without secrets."""

from __future__ import annotations

import os
import re
from typing import Final, NamedTuple

from imagecatalog import env

# Names of variables whose values are secrets.
SECRET: Final = re.compile("(PASSWORD|SECRET|TOKEN|KEYS?|KEY_FALLBACKS)$")
# The password in a URL, which nobody may have percent-encoded: it ends at the last "@", and can have
# any other character. "[" begins an IPv6 address, not a user name.
PASSWORD: Final = re.compile(r"(://(?!\[)[^/?#:]*:).*(?=@)", re.DOTALL)
# The value of an option in the query of a URL.
OPTION: Final = re.compile(
    r"([?&][^=&]*(?:passw|secret|token|key|sas|sig)[^=&]*=)[^&]*", re.IGNORECASE
)
# Variables with several URLs, and the comma before the next one: other commas belong to a URL.
URL_LIST: Final = re.compile("_(STORES|REMOTES)$")
NEXT_URL: Final = re.compile(r",(?=\s*[^,=:/?@]+=[a-z0-9]+://)", re.IGNORECASE)
HIDDEN: Final = "*****"


class EffectiveVariable(NamedTuple):
    """A variable with the value that is in effect.

    ``source`` is ``environment``, ``file`` or ``default``; ``file`` is the path of the file.
    """

    name: str
    value: str
    source: str
    file: str | None


def variables() -> list[EffectiveVariable]:
    """Return all variables that are declared so far, with secrets replaced by asterisks."""
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
        variable.name, _masked(variable.name, variable.value), source, file
    )


def _masked(name: str, value: str) -> str:
    if SECRET.search(name):
        return HIDDEN
    urls = NEXT_URL.split(value) if URL_LIST.search(name) else [value]
    return ",".join(map(_without_secrets, urls))


def _without_secrets(url: str) -> str:
    without_password = PASSWORD.sub(rf"\1{HIDDEN}", url)
    return OPTION.sub(rf"\1{HIDDEN}", without_password)
