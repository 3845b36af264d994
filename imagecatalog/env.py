"""Functions that read environment variables; errors name the variable and its allowed values.

Each function also declares its variable, with the text for docs/configuration.md.
"""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from imagecatalog import masking
from images import units

PREFIX = "IMAGECATALOG"
FILE = "_FILE"  # the end of the name of a variable that names a file with a value
# Variables that Kubernetes sets in every container if the name of a Kubernetes service begins
# with "imagecatalog".
KUBERNETES = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT_[0-9]+_\w+)=.*|\w+_PORT=[a-z]+://.*"
)
MANY_DAYS = 365_000  # a thousand years; dates begin with the year 1 and end with 9999


@dataclass(frozen=True)
class Variable:
    """An environment variable: its default, its description in Markdown (``help``), and its value.

    ``value`` is the text of the variable or, unless ``is_set``, of its default. It is empty if the
    default is computed, and only the documentation describes it.
    """

    name: str
    default: str
    help: str
    value: str
    is_set: bool


VARIABLES: dict[str, Variable] = {}  # by name, in the order of their declaration


def known() -> set[str]:
    """Return the names of all declared environment variables."""
    return set(VARIABLES)


def misspelt() -> dict[str, list[str]]:
    """Return the unknown ``IMAGECATALOG_*`` variables that are set: name -> similar known names.

    The list of similar names can be empty.
    """
    # Names are compared without their common beginning, which would make all of them similar.
    ends = [name.removeprefix(PREFIX) for name in known() if name.startswith(PREFIX)]
    return {
        name: [PREFIX + end for end in difflib.get_close_matches(rest, ends)]
        for name, value in sorted(os.environ.items())
        if (rest := name.removeprefix(PREFIX)) != name
        and name.removesuffix(FILE) not in known()
        and name not in known()
        and not KUBERNETES.fullmatch(f"{name}={value}")
    }


def declare(
    name: str,
    default: str = "",
    *,
    help: str,
    shown: str = "",
    value: str | None = None,
) -> None:
    """Add a variable to docs/configuration.md.

    ``help`` is its description in Markdown. ``shown`` is Markdown that the documentation shows
    instead of ``default``, for a default that is computed. ``value`` is the text of the variable;
    if it is None, the text is read from the environment.
    """
    if value is None:
        value = os.environ.get(name, "").strip()
    shown = shown or (f"`{default}`" if default else "–")
    VARIABLES[name] = Variable(name, shown, help, value or default, bool(value))


def text(name: str, default: str = "", *, help: str, shown: str = "") -> str:
    """Declare a variable and return its value without surrounding whitespace, or else ``default``.

    ``help`` is the description for the documentation, in Markdown. ``shown`` is Markdown that
    the documentation shows instead of a default that is computed.
    """
    value = _value(name)
    declare(name, default, help=help, shown=shown, value=value)
    return value or default


def files() -> dict[str, Path]:
    """Return the path in each variable ``NAME_FILE`` that is set: name of that variable -> path.

    The file at this path has the value of the variable ``NAME``.
    """
    names = (f"{name}{FILE}" for name in sorted(known()))
    return {
        name: Path(path) for name in names if (path := os.environ.get(name, "").strip())
    }


def of_library(name: str, *, help: str) -> None:
    """Declare the variable ``name``, which a library reads from the environment by itself.

    If ``NAME_FILE`` is set, the content of that file becomes the value of the variable ``name``. It
    replaces a value that is set already, because child processes inherit both variables.
    """
    if os.environ.get(f"{name}{FILE}", "").strip():
        os.environ.pop(name, None)
        os.environ[name] = _value(name)
    declare(name, help=help)


def flag(name: str, default: bool, *, help: str) -> bool:
    """Return True if the variable ``name`` is ``on``, False if it is ``off``; ``default`` if unset.

    Also accepts yes/no, true/false and 1/0, in any case. Raises ImproperlyConfigured for any other
    text.
    """
    value = text(name, "on" if default else "off", help=help).lower()
    if value in ("on", "yes", "true", "1"):
        return True
    if value in ("off", "no", "false", "0"):
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it may be 'on' or 'off'.")


def number(
    name: str,
    default: int,
    minimum: int = 0,
    maximum: int | None = None,
    *,
    help: str,
    shown: str = "",
) -> int:
    """Return the whole number in the variable ``name``; ``default`` if the variable is unset.

    Raises ImproperlyConfigured unless it is a number from ``minimum`` to ``maximum``. If
    ``maximum`` is None, there is no upper limit. ``help`` and ``shown`` are for the documentation.
    """
    value = text(name, str(default), help=help, shown=shown)
    whole = re.fullmatch("-?[0-9]{1,18}", value)
    if not whole or int(value) < minimum:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a whole number of at least {minimum}."
        )
    if maximum is not None and int(value) > maximum:
        raise ImproperlyConfigured(f"{name} is {value!r}; it may be at most {maximum}.")
    return int(value)


def days(name: str, default: int, minimum: int = 0, *, help: str) -> int:
    """Return a number of days from a variable with a number or a duration such as ``4w``.

    ``default`` is returned if the variable is unset. Raises ImproperlyConfigured for any other
    text, for less than ``minimum``, and for more than 365,000 days, so that adding the days to
    today gives a valid date.
    """
    value = text(name, str(default), help=help)
    return _duration(name, value, "d", minimum, MANY_DAYS)


def seconds(
    name: str, default: int, minimum: int = 0, *, help: str, shown: str = ""
) -> int:
    """Return a number of seconds from a variable with a number or a duration such as ``12h``.

    ``default`` is returned if the variable is unset. Raises ImproperlyConfigured for any other
    text, for less than ``minimum``, and for more than 365,000 days, so that adding the seconds to
    now gives a valid time.
    """
    value = text(name, str(default), help=help, shown=shown)
    return _duration(name, value, "s", minimum, MANY_DAYS * 86400)


def _duration(name: str, value: str, unit: str, minimum: int, maximum: int) -> int:
    word = "days" if unit == "d" else "seconds"
    try:
        count = units.parse_duration(value, unit) / units.SECONDS[unit]
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None
    if not count.is_integer() or count < minimum:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a whole number of {word}, at least {minimum}, or "
            "a duration such as 30d."
        )
    if count > maximum:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it may be at most {maximum} {word}."
        )
    return int(count)


def hours(name: str, default: str, *, help: str) -> tuple[int, int]:
    """Return the hours of the day (UTC) in a variable such as ``22-6``: start and end.

    ``default`` is the text if the variable is unset. Raises ImproperlyConfigured for any other
    text, and if start and end are the same hour.
    """
    value = text(name, default, help=help)
    match = re.fullmatch("([0-9]{1,2})-([0-9]{1,2})", value)
    start, stop = map(int, match.groups()) if match else (0, 0)
    if start == stop or start > 23 or stop > 24:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be two different hours of the day, such as 22-6 or 0-24."
        )
    return start, stop


def choice(
    name: str, default: str, allowed: tuple[str, ...], *, help: str, shown: str = ""
) -> str:
    """Return the value of the variable ``name``; ``default`` if the variable is unset.

    The value is one of the ``allowed`` words, and can be written in upper or lower case. Raises
    ImproperlyConfigured for any other word.
    """
    value = text(name, default, help=help, shown=shown)
    word = _matching_word(value, allowed)
    if word is None:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it may be one of: {', '.join(allowed)}."
        )
    return word


def relaxed(
    name: str, strict: str, allowed: tuple[str, ...], *, help: str
) -> tuple[str, ...]:
    """Return the words in a comma-separated variable; empty if it is unset or just ``strict``.

    The argument ``strict`` is the word that stands for an empty list, such as ``none``. Other words
    must be in ``allowed``. Upper and lower case are the same. Raises ImproperlyConfigured for any
    other word.
    """
    values = words(name, strict, help=help)
    if len(values) == 1 and _matching_word(values[0], (strict,)):
        return ()
    return _allowed(name, values, allowed, f"{strict!r}, or ")


def chosen(name: str, allowed: tuple[str, ...], *, help: str) -> tuple[str, ...]:
    """Return the words in a comma-separated variable; all ``allowed`` words if it is unset.

    They can be written in upper or lower case. Raises ImproperlyConfigured for a word that is not in
    ``allowed``.
    """
    return _allowed(name, words(name, ",".join(allowed), help=help), allowed)


def _allowed(
    name: str, values: tuple[str, ...], allowed: tuple[str, ...], besides: str = ""
) -> tuple[str, ...]:
    allowed_words = []
    for value in values:
        word = _matching_word(value, allowed)
        if word is None:
            raise ImproperlyConfigured(
                f"{name} has {value!r}; it may be {besides}a list of: {', '.join(allowed)}."
            )
        allowed_words.append(word)
    return tuple(allowed_words)


def _matching_word(value: str, allowed: tuple[str, ...]) -> str | None:
    """Return the word of ``allowed`` that equals ``value`` without regard to case, or None."""
    return next((word for word in allowed if word.lower() == value.lower()), None)


def words(name: str, default: str = "", *, help: str) -> tuple[str, ...]:
    """Return the words in a comma-separated variable; those in ``default`` if it is unset.

    Removes whitespace around words, and empty words.
    """
    values = text(name, default, help=help).split(",")
    return tuple(value.strip() for value in values if value.strip())


def numbers(name: str, default: tuple[int, ...], *, help: str) -> tuple[int, ...]:
    """Return the whole numbers in a comma-separated variable; ``default`` if it is unset.

    Raises ImproperlyConfigured for any other text.
    """
    values = words(name, ",".join(map(str, default)), help=help)
    if not all(value.isdecimal() for value in values):
        raise ImproperlyConfigured(
            f"{name} is {','.join(values)!r}; it must be a list like '80,443'."
        )
    return tuple(map(int, values)) or default


def networks(name: str, *besides: str, help: str) -> tuple[str, ...]:
    """Return the IP addresses and networks in a comma-separated variable; empty if it is unset.

    The list can also have the words in ``besides``, in upper or lower case. Raises
    ImproperlyConfigured for any other text.
    """
    values = tuple(
        _matching_word(value, besides) or value for value in words(name, help=help)
    )
    for value in values:
        try:
            value in besides or ipaddress.ip_network(value)
        except ValueError as error:
            example = ",".join(("127.0.0.1", "10.0.0.0/8", *besides))
            raise ImproperlyConfigured(
                f"{name}: {error}. It must be a list like '{example}'."
            ) from None
    return values


def size_or(name: str, default: str, *, help: str) -> int:
    """Return in bytes the size (such as ``500GB``) in a variable; ``default`` if it is unset.

    Raises ImproperlyConfigured if the text is not a size.
    """
    value = size(name, help=help, shown=f"`{default}`")
    return units.parse_size(default) if value is None else value


def size(name: str, *, help: str, shown: str = "") -> int | None:
    """Return in bytes the size (such as ``500GB``) in a variable; None if it is unset.

    Raises ImproperlyConfigured if the text is not a size.
    """
    value = text(name, help=help, shown=shown)
    try:
        return units.parse_size(value) if value else None
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def pairs(name: str, *, help: str) -> tuple[str, ...]:
    """Return the pairs in a comma-separated variable, each as a text ``NAME:VALUE``.

    Empty if the variable is unset. Raises ImproperlyConfigured if a pair is malformed.
    """
    values = words(name, help=help)
    if not all(re.fullmatch("[^:]+:.+", value) for value in values):
        raise ImproperlyConfigured(
            f"{name} must be a list like 'NAME:VALUE,NAME:VALUE'."
        )
    return values


def folder(
    name: str, default: str = "", *, help: str, shown: str = "", or_url: bool = False
) -> str:
    """Return the absolute path of a folder in a variable; ``default`` if the variable is unset.

    With ``or_url`` it can be a URL, which is returned unchanged. Raises ImproperlyConfigured for a
    relative path: it would be another folder in each working directory.
    """
    value = text(name, default, help=help, shown=shown)
    if not value or os.path.isabs(value) or (or_url and "://" in value):
        return value
    absolute = os.path.abspath(os.path.expanduser(value))
    raise ImproperlyConfigured(
        f"{name} is {value!r}; it must be an absolute path, like {absolute!r}."
    )


def base_url(name: str, *, help: str, shown: str = "") -> str:
    """Return the http or https URL in a variable, without a trailing slash; empty if it is unset.

    Raises ImproperlyConfigured for any other text, also for a URL with a user or a password: clients
    get these URLs.
    """
    value = text(name, help=help, shown=shown).rstrip("/")
    wanted = "like 'https://images.example.org', without user and password"
    return _matching(name, value, "(?s)https?://[^/@]+(/.*)?", wanted)


def secure_url(name: str, *, help: str) -> str:
    """Return the https URL in a variable, unchanged; empty if the variable is unset.

    The scheme http is allowed for localhost, 127.0.0.1 and [::1]. Raises ImproperlyConfigured for
    any other text, also for a URL with a query.
    """
    own_machine = r"http://(127\.0\.0\.1|localhost|\[::1\])(?=[:/]|$)"
    pattern = rf"(https://|{own_machine})[^\s?#@]*"
    wanted = "an https URL without a query, like 'https://id.example.org'"
    return _matching(name, text(name, help=help), pattern, wanted)


def region(name: str, *, help: str) -> tuple[str, ...]:
    """Return the region and the URL in a variable like ``REGION,URL``; empty if it is unset.

    Raises ImproperlyConfigured for any other text.
    """
    wanted = "like 'RegionOne,https://identity.example.org/v3'"
    value = _matching(
        name, text(name, help=help), r"[^\s,]+,https?://[^\s/]\S*", wanted
    )
    return tuple(value.split(",", 1)) if value else ()


def ldap_url(name: str, *, help: str) -> str:
    """Return the ldap or ldaps URL in a variable; empty if the variable is unset.

    Raises ImproperlyConfigured for any other text.
    """
    wanted = "like 'ldaps://ldap.example.org'"
    return _matching(name, text(name, help=help), r"ldaps?://[^/\s?]+/?", wanted)


def attribute(name: str, default: str, *, help: str) -> str:
    """Return the name of an LDAP attribute in a variable; ``default`` if the variable is unset.

    Raises ImproperlyConfigured for any other text.
    """
    value = text(name, default, help=help)
    wanted = f"the name of an attribute, like {default!r}"
    return _matching(name, value, "[A-Za-z][A-Za-z0-9-]*", wanted)


def _matching(name: str, value: str, pattern: str, wanted: str) -> str:
    """Return ``value``, the value of the variable ``name``, if it is empty or matches ``pattern``.

    The pattern must match the whole value. Otherwise raises ImproperlyConfigured with a message
    that shows the value without the secrets of a URL, and says that it must be ``wanted``.
    """
    if value and not re.fullmatch(pattern, value):
        shown = masking.masked(name, value)
        raise ImproperlyConfigured(f"{name} is {shown!r}; it must be {wanted}.")
    return value


def require(name: str, *needed: str) -> None:
    """Raise ImproperlyConfigured if none of the variables ``needed`` is set.

    The message says that the variable ``name`` needs one of them. Call this after the functions
    that declare these variables.
    """
    if not any(VARIABLES[one].is_set for one in needed):
        raise ImproperlyConfigured(f"{name} needs {' or '.join(needed)}. Set it, too.")


def require_package(name: str, module: str, extra: str) -> None:
    """Raise ImproperlyConfigured if the Python package ``module`` is not installed.

    The message says that the variable ``name`` needs it, and how to install it: with the optional
    dependencies ``extra`` of this service.
    """
    if find_spec(module) is None:
        raise ImproperlyConfigured(
            f"{name} needs packages that are not installed. Install them: "
            f"pip install 'imagecatalog-server[{extra}]'."
        )


def origins(name: str, *, help: str) -> tuple[str, ...]:
    """Return the web origins in a comma-separated variable, such as ``https://horizon.example.org``.

    They are in lower case, without the default ports 80 and 443. Raises ImproperlyConfigured for
    any other text.
    """
    values = tuple(value.lower().rstrip("/") for value in words(name, help=help))
    for value in values:
        if not re.fullmatch(r"https?://[a-z0-9.-]+|https?://[a-z0-9.-]+:[0-9]+", value):
            shown = masking.masked(name, value)
            raise ImproperlyConfigured(
                f"{name} has {shown!r}; it must be a list like "
                "'https://dashboard.example.org,http://127.0.0.1:8080'."
            )
    return tuple(
        re.sub("^(http:.*):80$|^(https:.*):443$", r"\1\2", value) for value in values
    )


def database(name: str, default: str, *, help: str, shown: str = "") -> dict[str, Any]:
    """Return a database for Django's setting DATABASES, from the URL in a variable.

    ``default`` is the URL if the variable is unset. Raises ImproperlyConfigured unless it is a URL
    of a PostgreSQL database, or of a SQLite file with an absolute path: a relative path is another
    file in each working directory. A PostgreSQL database can be on one of several hosts, which the
    URL separates with commas.
    """
    value = text(name, default, help=help, shown=shown)
    if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ImproperlyConfigured(
            f"{name} must begin with 'postgresql://' or 'sqlite:///'."
        )
    try:
        config = _parsed(value)
    except ValueError:
        raise ImproperlyConfigured(
            f"{name} is not a valid URL. Percent-encode characters such as '#', '/' and '@' in "
            "the password; a port is a number."
        ) from None
    if value.startswith("sqlite:"):
        _refuse_relative(name, config["NAME"])
    elif not config["NAME"] and "service" not in config.get("OPTIONS", {}):
        raise ImproperlyConfigured(
            f"{name} names no database. It must be like 'postgresql://user@host/database'."
        )
    return config


def _parsed(url: str) -> dict[str, Any]:
    """Return a database for Django's setting DATABASES. Raises ValueError if the URL is invalid.

    dj_database_url knows no URL in which several hosts have ports, as libpq does.
    """
    scheme, _, rest = url.partition("://")
    address, slash, path = rest.partition("/")
    user, at, hosts = address.rpartition("@")
    if "," not in hosts:
        return {**dj_database_url.parse(url)}
    each = [urlsplit(f"//{host}") for host in hosts.split(",")]
    return {
        **dj_database_url.parse(f"{scheme}://{user}{at}host{slash}{path}"),
        "HOST": ",".join(one.hostname or "" for one in each),
        "PORT": ",".join(str(one.port or "") for one in each),
    }


def _refuse_relative(name: str, path: str) -> None:
    """Raise ImproperlyConfigured, with the absolute path, if the path of a SQLite file is relative."""
    if os.path.isabs(path):
        return
    example = "catalogue.sqlite3" if path == ":memory:" else path
    raise ImproperlyConfigured(
        f"{name} must have the absolute path of a file, with four slashes, like "
        f"'sqlite:///{os.path.abspath(example)}'."
    )


def _value(name: str) -> str:
    """Return the value of the variable ``name``, or the content of the file that ``NAME_FILE`` names.

    Returns ``""`` if neither variable is set. Removes surrounding whitespace, such as the last
    newline of the file. Raises ImproperlyConfigured if both variables are set, or if the file
    cannot be read.
    """
    direct = os.environ.get(name, "").strip()
    path = os.environ.get(f"{name}{FILE}", "").strip()
    if not path:
        return direct
    if direct:
        raise ImproperlyConfigured(
            f"{name} and {name}{FILE} are set. Unset one of them."
        )
    try:
        return Path(path).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise ImproperlyConfigured(
            f"{name}{FILE}: the file {path} cannot be read: {reason}."
        ) from error
