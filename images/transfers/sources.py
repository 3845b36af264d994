"""The URL and the secrets with which a transfer gets data, encrypted until the transfer ends."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final
from urllib.parse import urlsplit

from images import encryption, errors
from images.models import OPEN_STATUSES, Transfer

NO_SECRETS: Final[Mapping[str, str]] = MappingProxyType({})
URL: Final = "url"
# Columns of an ended transfer.
ERASED: Final = {"secret": ""}


def columns(url: str, secrets: Mapping[str, str] = NO_SECRETS) -> dict[str, str]:
    """Return the columns of a transfer from a URL, which needs these secrets."""
    source = masked(url)
    kept = dict(secrets) if source == url else {**secrets, URL: url}
    return {"source": source, "secret": encryption.encrypt(kept) if kept else ""}


def secrets(transfer: Transfer) -> dict[str, str]:
    """Return the secrets of an open transfer, by name.

    Raises Conflict if they were stored with another key.
    """
    return encryption.decrypt(transfer.secret) if transfer.secret else {}


def url(transfer: Transfer) -> str:
    """Return the URL from which an open transfer gets data.

    Raises Conflict if it was stored with another key.
    """
    return secrets(transfer).get(URL, transfer.source)


def check_complete(url: str) -> None:
    """Raise Invalid if a URL of an ended transfer is not known completely any more."""
    if "?" in url:
        raise errors.Invalid(
            "The query of the URL is not kept, because it can be secret. Enter the URL again."
        )


def masked(url: str) -> str:
    """Return a URL without its user and with ``***`` for its query, which can be secrets."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    host = parts.netloc.rpartition("@")[2]
    query = "***" if parts.query else ""
    return parts._replace(netloc=host, query=query, fragment="").geturl()


def erase_left() -> None:
    """Erase the secrets of ended transfers: the previous release ends transfers with them."""
    ended = Transfer.objects.exclude(secret="").exclude(status__in=OPEN_STATUSES)
    if ended.exists():  # on SQLite an update would wait for other writers
        ended.update(**ERASED)
