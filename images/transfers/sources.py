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
    """Return the columns ``source`` and ``secret`` of a transfer that gets data from ``url``.

    ``secrets`` are values, by name, that are needed to read the URL. ``source`` is the URL without
    its secret parts; ``secret`` has the whole URL, if it has such parts, and the secrets,
    encrypted.
    """
    source = masked(url)
    kept = dict(secrets) if source == url else {**secrets, URL: url}
    return {"source": source, "secret": encryption.encrypt(kept) if kept else ""}


def secrets(transfer: Transfer) -> dict[str, str]:
    """Return the secrets of an open transfer, by name.

    Raises Conflict if the key that encrypted them is no longer configured.
    """
    return encryption.decrypt(transfer.secret) if transfer.secret else {}


def url(transfer: Transfer) -> str:
    """Return the URL from which an open transfer gets data.

    Raises Conflict if the key that encrypted the URL is no longer configured.
    """
    return secrets(transfer).get(URL, transfer.source)


def check_complete(url: str) -> None:
    """Raise Invalid if ``url``, kept of an ended transfer, shows that its query was left out.

    Such a URL ends in ``?***``, and cannot be fetched again.
    """
    if "?" in url:
        raise errors.Invalid(
            "The query of the URL is not kept, because it can be secret. Enter the URL again."
        )


def masked(url: str) -> str:
    """Return a URL without user, password and fragment, and with ``***`` in place of its query.

    The query can be secret. A URL that cannot be parsed becomes ``***``.
    """
    try:
        parts = urlsplit(url)
    except ValueError:
        return "***"
    host = parts.netloc.rpartition("@")[2]
    query = "***" if parts.query else ""
    return parts._replace(netloc=host, query=query, fragment="").geturl()


def erase_left() -> None:
    """Erase secrets that ended transfers still have; the previous release does not erase them."""
    ended = Transfer.objects.exclude(secret="").exclude(status__in=OPEN_STATUSES)
    if ended.exists():  # on SQLite an update would wait for other writers
        ended.update(**ERASED)
