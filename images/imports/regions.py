"""The image services of other regions in Keystone's service catalogue."""

from __future__ import annotations

from typing import Any

import orjson
from django.conf import settings

from images import db, errors
from images.imports import remotes
from images.stores import http
from images.transfers import concurrency

INTERFACES = ("public", "internal", "admin")
MOST = 4 << 20  # bytes of a catalogue
UNREADABLE = "Keystone does not give the service catalogue. Try again later."


def endpoint(region: str, interface: str, token: str) -> str:
    """Return the URL of a region's image service in Keystone's service catalogue, without a version.

    The token decides which catalogue Keystone returns. Raises Invalid if it has no such
    service, StoreError if Keystone fails.
    """
    catalogue = _catalogue(token)
    try:
        found = _endpoint(catalogue, region, interface)
    except (KeyError, TypeError):
        raise errors.StoreError(UNREADABLE) from None
    if found is None:
        raise errors.Invalid(
            f"The service catalogue has no {interface} image service in the region '{region}'."
        )
    return remotes.without_version(found)


def _endpoint(catalogue: Any, region: str, interface: str) -> str | None:
    for service in catalogue["catalog"]:
        for one in service["endpoints"] if service["type"] == "image" else ():
            regions = one.get("region"), one.get("region_id")
            if region in regions and one["interface"] == interface:
                return str(one["url"])
    return None


def _catalogue(token: str) -> Any:
    url = f"{settings.IMAGECATALOG_KEYSTONE_URL}/auth/catalog"
    db.release_connection()
    with concurrency.slot(concurrency.PROBES):
        response = http.request("GET", url, {"X-Auth-Token": token}, is_operators=True)
        content = http.read_small(response, MOST)
    try:
        return orjson.loads(content) if response.status == 200 else None
    except ValueError:
        return None
