"""Parsing of IMAGECATALOG_STORES. Errors name the store, but never its URL."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import SplitResult, parse_qsl, unquote, urlsplit

from django.core.exceptions import ImproperlyConfigured

from images.stores.local import LocalStore
from images.stores.objects import ObjectStore

ID = re.compile(r"[A-Za-z0-9_.-]{1,64}", re.ASCII)
CLOUDS = ("s3", "s3a", "gs", "az", "adl", "azure", "abfs", "abfss")
VARIABLE = "IMAGECATALOG_STORES"


def parse(raw: str) -> dict[str, LocalStore | ObjectStore]:
    """Parse a comma-separated list of ``id=URL`` pairs; return the stores by id, in this order.

    Raises ImproperlyConfigured if the text is malformed or names no store.
    """
    with _named(VARIABLE):
        return _parsed(raw)


def _parsed(raw: str) -> dict[str, LocalStore | ObjectStore]:
    stores: dict[str, LocalStore | ObjectStore] = {}
    for pair in filter(None, map(str.strip, raw.split(","))):
        store_id, equals, url = pair.partition("=")
        if not equals or not ID.fullmatch(store_id):
            raise _wrong(
                "it must be like 'local=file:///srv/images,cold=s3://bucket/prefix'; "
                "an id has up to 64 letters, digits, '_', '.' and '-'"
            )
        if store_id == "http" or store_id.lower().startswith("os_glance"):
            raise _wrong(f"the id {store_id!r} is reserved")
        if store_id in stores:
            raise _wrong(f"the id {store_id!r} is used twice")
        stores[store_id] = _store(store_id, url)
    if not stores:
        raise _wrong("it names no store")
    return stores


def object_store(store_id: str, url: str, variable: str) -> ObjectStore:
    """Return the object store at ``url``, which can have options, with the id ``store_id``.

    ``variable`` is the name of the setting with this URL, for the message. Raises
    ImproperlyConfigured if the URL is malformed or is not the URL of an object store.
    """
    with _named(variable):
        store = _store(store_id, url)
        if not isinstance(store, ObjectStore):
            raise _wrong("the URL must begin with s3://, gs:// or az://", store_id)
        return store


def _store(store_id: str, url: str) -> LocalStore | ObjectStore:
    parts = _split(store_id, url)
    options = dict(parse_qsl(parts.query, keep_blank_values=True))
    weight = _weight(store_id, options.pop("weight", "0"))
    description = options.pop("description", "")
    is_folder = parts.scheme == "file"
    cached = _cached(store_id, options.pop("cache", "off" if is_folder else "on"))
    if is_folder:
        if options:
            raise _wrong(f"a file store has no option {min(options)!r}", store_id)
        folder = _folder(store_id, parts)
        return LocalStore(store_id, folder, weight, description, cached=cached)
    plain = parts._replace(query="").geturl()
    return ObjectStore(store_id, plain, options, weight, description, cached=cached)


def _split(store_id: str, url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
    except ValueError:
        raise _wrong("this is not a URL", store_id) from None
    if parts.scheme not in ("file", *CLOUDS):
        raise _wrong("the URL must begin with file://, s3://, gs:// or az://", store_id)
    if parts.fragment or parts.username is not None:
        raise _wrong("the URL has a user name or a '#'", store_id)
    return parts


def _folder(store_id: str, parts: SplitResult) -> Path:
    if parts.netloc not in ("", "localhost") or not parts.path.startswith("/"):
        raise _wrong("the folder must be absolute, like file:///srv/images", store_id)
    return Path(unquote(parts.path))


def _weight(store_id: str, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,9}", text):
        raise _wrong("weight must be a whole number", store_id)
    return int(text)


def _cached(store_id: str, text: str) -> bool:
    if text.lower() not in ("on", "off"):
        raise _wrong("cache must be 'on' or 'off'", store_id)
    return text.lower() == "on"


def _wrong(why: str, store_id: str = "") -> ImproperlyConfigured:
    where = f"store {store_id!r}: " if store_id else ""
    return ImproperlyConfigured(f"{where}{why}.")


@contextmanager
def _named(variable: str) -> Iterator[None]:
    """Put ``variable`` before the message of an ImproperlyConfigured that is raised in the context."""
    try:
        yield
    except ImproperlyConfigured as error:
        raise ImproperlyConfigured(f"{variable}: {error}") from error
