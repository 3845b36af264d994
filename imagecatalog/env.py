"""Readers of environment variables that fail loudly, naming the variable and what it may be."""

from __future__ import annotations

import difflib
import ipaddress
import os
import re
import secrets
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import dj_database_url
from django.core.exceptions import ImproperlyConfigured

from images import units

PREFIX = "IMAGECATALOG"
# Not read by settings.py: for gunicorn, a command, and tests that kill the service.
ELSEWHERE = ("ACCESS_LOG", "USER_PASSWORD", "CRASH_FILE")
# What Kubernetes sets in every container beside a service whose name begins like ours.
KUBERNETES = re.compile(
    r"\w+_(SERVICE_HOST|SERVICE_PORT\w*|PORT_[0-9]+_\w+)=.*|\w+_PORT=[a-z]+://.*"
)
MANY_DAYS = 365_000  # a thousand years; dates begin with the year 1 and end with 9999

_read: set[str] = set()


def known() -> set[str]:
    """The names of all variables that are ours."""
    return _read | {f"{PREFIX}_{name}" for name in ELSEWHERE}


def misspelt() -> dict[str, list[str]]:
    """Variables that look like ours and are not, each with the names that may be meant."""
    # Without what they have in common: else all names are much alike.
    ends = [name.removeprefix(PREFIX) for name in known() if name.startswith(PREFIX)]
    return {
        name: [PREFIX + end for end in difflib.get_close_matches(rest, ends)]
        for name, value in sorted(os.environ.items())
        if (rest := name.removeprefix(PREFIX)) != name
        and name not in known()
        and not KUBERNETES.fullmatch(f"{name}={value}")
    }


def text(name: str, default: str = "") -> str:
    """The variable as it stands, without surrounding blanks."""
    _read.add(name)
    return os.environ.get(name, default).strip()


def flag(name: str, default: bool) -> bool:
    """``on`` or ``off`` (also yes/no, true/false, 1/0), whatever the case."""
    value = text(name).lower() or ("on" if default else "off")
    if value in ("on", "yes", "true", "1"):
        return True
    if value in ("off", "no", "false", "0"):
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it may be 'on' or 'off'.")


def number(
    name: str, default: int, minimum: int = 0, maximum: int | None = None
) -> int:
    """A whole number, not below ``minimum`` nor above ``maximum``."""
    value = text(name) or str(default)
    whole = re.fullmatch("-?[0-9]{1,18}", value)
    if not whole or int(value) < minimum:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a whole number of at least {minimum}."
        )
    if maximum is not None and int(value) > maximum:
        raise ImproperlyConfigured(f"{name} is {value!r}; it may be at most {maximum}.")
    return int(value)


def days(name: str, default: int, minimum: int = 0) -> int:
    """A number of days that can be counted from today, forwards and backwards."""
    return number(name, default, minimum, MANY_DAYS)


def seconds(name: str, default: int, minimum: int = 0) -> int:
    """A number of seconds, likewise."""
    return number(name, default, minimum, MANY_DAYS * 86400)


def choice(name: str, default: str, allowed: tuple[str, ...]) -> str:
    """One of the allowed words."""
    value = text(name) or default
    if value not in allowed:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it may be one of: {', '.join(allowed)}."
        )
    return value


def words(name: str) -> tuple[str, ...]:
    """A comma-separated list; empty when the variable is unset."""
    return tuple(word.strip() for word in text(name).split(",") if word.strip())


def numbers(name: str, default: tuple[int, ...]) -> tuple[int, ...]:
    """A comma-separated list of whole numbers."""
    values = words(name)
    if not all(value.isdecimal() for value in values):
        raise ImproperlyConfigured(
            f"{name} is {text(name)!r}; it must be a list like '80,443'."
        )
    return tuple(map(int, values)) or default


def networks(name: str, *besides: str) -> tuple[str, ...]:
    """A comma-separated list of addresses and networks, and of words that may stand besides.

    Raises ImproperlyConfigured.
    """
    values = words(name)
    for value in values:
        try:
            value in besides or ipaddress.ip_network(value)
        except ValueError as error:
            example = ",".join(("127.0.0.1", "10.0.0.0/8", *besides))
            raise ImproperlyConfigured(
                f"{name}: {error}. It must be a list like '{example}'."
            ) from None
    return values


def size(name: str) -> int:
    """A number of bytes, with a unit (of 1024) if any, as in ``units.parse_size``; 0: unset."""
    try:
        return units.parse_size(text(name)) if text(name) else 0
    except ValueError as error:
        raise ImproperlyConfigured(f"{name}: {error}") from None


def pairs(name: str) -> tuple[str, ...]:
    """A comma-separated list of ``NAME:VALUE``."""
    values = words(name)
    if not all(re.fullmatch("[^:]+:.+", value) for value in values):
        raise ImproperlyConfigured(
            f"{name} must be a list like 'NAME:VALUE,NAME:VALUE'."
        )
    return values


def base_url(name: str) -> str:
    """An http(s) URL, without a slash at the end; empty when the variable is unset."""
    value = text(name).rstrip("/")
    if value and not re.match("https?://[^/]", value):
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be like 'https://images.example.org'."
        )
    return value


def database(name: str, default: str) -> dict[str, Any]:
    """A database URL, as a dictionary for DATABASES."""
    value = text(name) or default
    if not value.startswith(("sqlite:///", "postgresql://", "postgres://")):
        raise ImproperlyConfigured(
            f"{name} must begin with 'postgresql://' or 'sqlite:///'."
        )
    return dict(dj_database_url.parse(value))


def secret_file(path: Path) -> str:
    """The secret kept in this file, which is made with a fresh one when it is absent.

    Of several processes that start at once exactly one writes; the others read its secret.
    """
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    except OSError as error:
        raise ImproperlyConfigured(
            f"The data folder {path.parent} cannot be made: {error.strerror}. "
            "Set IMAGECATALOG_DATA_DIR to a folder that you may write."
        ) from None
    if not path.exists():
        with tempfile.NamedTemporaryFile("w", dir=path.parent) as fresh:
            fresh.write(secrets.token_urlsafe(50))
            fresh.flush()
            with suppress(FileExistsError):
                os.link(fresh.name, path)
    return path.read_text()
