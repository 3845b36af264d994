"""The image services of IMAGECATALOG_REMOTES, and the credentials with which they are read.

Errors name the region of a service, but never its credentials.
"""

from __future__ import annotations

import re
from base64 import b64encode
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import orjson
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from images.errors import StoreError
from images.stores import http

REGION = re.compile(r"[^\s?]{1,255}")
BASIC = {"username", "password"}
KEYSTONE = {"auth_url", "application_credential_id", "application_credential_secret"}


@dataclass(frozen=True)
class Remote:
    """An image service of IMAGECATALOG_REMOTES: region, URL, and the file with credentials for it.

    Without such a file, images are read with the token of the caller who requests the import.
    """

    region: str
    url: str  # without the version
    credentials: Path | None


def configured() -> dict[str, Remote]:
    """Return the image services of IMAGECATALOG_REMOTES by region.

    Raises ImproperlyConfigured for malformed text.
    """
    return _parse(settings.IMAGECATALOG_REMOTES)


def check() -> None:
    """Raise ImproperlyConfigured unless the settings allow to sign in to every configured service.

    A service needs a file with credentials, unless Keystone is used: only the tokens of
    Keystone are valid for several services.
    """
    for remote in configured().values():
        if remote.credentials:
            _read(remote.region, remote.credentials)
        elif settings.IMAGECATALOG_AUTH != "keystone":
            raise _wrong(
                "it needs '?credentials=FILE', unless IMAGECATALOG_AUTH is 'keystone'",
                remote.region,
            )


def headers(region: str, credentials: Path) -> dict[str, str]:
    """Return the headers that authenticate requests to a region's image service.

    ``credentials`` is the file with the credentials. Raises StoreError if the file cannot be
    used, or Keystone fails or refuses the credentials.
    """
    try:
        values = _read(region, credentials)
    except ImproperlyConfigured as error:
        raise StoreError(
            f"The credentials for the region {region} cannot be used. Tell the operator."
        ) from error
    if values.keys() == KEYSTONE:
        return {"X-Auth-Token": _token(values)}
    pair = f"{values['username']}:{values['password']}".encode()
    return {"Authorization": f"Basic {b64encode(pair).decode()}"}


@lru_cache(maxsize=8)
def _parse(raw: str) -> dict[str, Remote]:
    remotes: dict[str, Remote] = {}
    for pair in filter(None, map(str.strip, raw.split(","))):
        region, equals, url = pair.partition("=")
        if not equals or not REGION.fullmatch(region):
            raise _wrong(
                "it must be like 'east=https://images.east.example.org"
                "?credentials=/etc/imagecatalog/east.json'"
            )
        if region in remotes:
            raise _wrong("the region is named twice", region)
        remotes[region] = _remote(region, url)
    return remotes


def _remote(region: str, url: str) -> Remote:
    try:
        parts = urlsplit(url)
        options = dict(parse_qsl(parts.query, keep_blank_values=True))
    except ValueError:
        raise _wrong("this is not a URL", region) from None
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise _wrong("the URL must begin with https:// or http://", region)
    if "@" in parts.netloc or parts.fragment:
        raise _wrong("the URL has a user name or a '#'", region)
    file = options.pop("credentials", None)
    if options:
        raise _wrong("the only option of the URL is 'credentials'", region)
    if file is not None and not file.startswith("/"):
        raise _wrong("the path of the credentials must be absolute", region)
    service = parts._replace(query="").geturl()
    return Remote(region, without_version(service), Path(file) if file else None)


def without_version(url: str) -> str:
    """Return the URL of an image service without a version at its end."""
    return re.sub(r"(/v[0-9.]*)?/*\Z", "", url)


def _read(region: str, file: Path) -> dict[str, str]:
    try:
        values: Any = orjson.loads(file.read_bytes())
    except OSError as error:
        raise _wrong(f"{file} cannot be read: {error.strerror}", region) from None
    except ValueError:
        raise _wrong(f"{file} is not JSON", region) from None
    is_known = isinstance(values, dict) and values.keys() in (BASIC, KEYSTONE)
    if not is_known or not all(isinstance(one, str) for one in values.values()):
        raise _wrong(
            f"{file} must be a JSON object of texts with either {_names(BASIC)}, or "
            f"{_names(KEYSTONE)}",
            region,
        )
    return values  # type: ignore[no-any-return]


def _names(keys: set[str]) -> str:
    return " and ".join(sorted(keys))


def _token(values: dict[str, str]) -> str:
    """Return a new Keystone token for the application credential in ``values``.

    Raises StoreError if Keystone refuses the credential or fails.
    """
    credential = {
        "id": values["application_credential_id"],
        "secret": values["application_credential_secret"],
    }
    method = "application_credential"
    identity = {"methods": [method], method: credential}
    url = f"{values['auth_url'].rstrip('/')}/auth/tokens"
    response = http.request(
        "POST",
        url,
        {"Content-Type": "application/json"},
        orjson.dumps({"auth": {"identity": identity}}),
        is_operators=True,
    )
    response.close()
    token: str | None = response.headers.get("X-Subject-Token")
    if response.status != 201 or not token:
        raise StoreError(
            "Keystone does not accept the credentials for the region. Tell the operator."
        )
    return token


def _wrong(why: str, region: str = "") -> ImproperlyConfigured:
    where = f" (region {region!r})" if region else ""
    return ImproperlyConfigured(f"IMAGECATALOG_REMOTES{where}: {why}.")
