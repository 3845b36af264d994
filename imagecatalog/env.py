"""Readers of environment variables that fail loudly, naming the variable and what it may be."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured


def text(name: str, default: str = "") -> str:
    """The variable as it stands, without surrounding blanks."""
    return os.environ.get(name, default).strip()


def flag(name: str, default: bool) -> bool:
    """``on`` or ``off`` (also yes/no, true/false, 1/0), whatever the case."""
    value = text(name, "on" if default else "off").lower()
    if value in ("on", "yes", "true", "1"):
        return True
    if value in ("off", "no", "false", "0", ""):
        return False
    raise ImproperlyConfigured(f"{name} is {value!r}; it may be 'on' or 'off'.")


def number(name: str, default: int, minimum: int = 0) -> int:
    """A whole number, not below ``minimum``."""
    value = text(name) or str(default)
    if not value.lstrip("-").isdecimal() or int(value) < minimum:
        raise ImproperlyConfigured(
            f"{name} is {value!r}; it must be a whole number of at least {minimum}."
        )
    return int(value)


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


def secret_file(path: Path) -> str:
    """The secret kept in this file, which is made with a fresh one when it is absent.

    Of several processes that start at once exactly one writes; the others read its secret.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    fresh = path.with_name(f"{path.name}.{os.getpid()}")
    if not path.exists():
        fresh.touch(mode=0o600)
        fresh.write_text(secrets.token_urlsafe(50))
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text()
