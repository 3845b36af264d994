"""The unified limits of Keystone, which the background worker reads and keeps in the database.

So no request has to wait for Keystone, and all processes see the same limits. While Keystone
does not answer, the last limits stay valid for IMAGECATALOG_UNIFIED_LIMITS_MAX_AGE seconds.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import timedelta
from functools import lru_cache
from typing import Any

from django.conf import settings
from django.utils import timezone

from images import errors
from images.duty import Duty
from images.models import UnifiedLimits

TIMEOUT = 10.0  # seconds


def of(project: str | None) -> dict[str, int]:
    """Return the limits that Keystone has for a project: name -> MiB or images; -1 is no limit.

    Raises LimitsUnknown if they were not read in the last IMAGECATALOG_UNIFIED_LIMITS_MAX_AGE
    seconds.
    """
    latest = _latest(int(time.monotonic()))
    oldest = timezone.now() - timedelta(
        seconds=settings.IMAGECATALOG_UNIFIED_LIMITS_MAX_AGE
    )
    if latest is None or latest.read_at < oldest:
        raise errors.LimitsUnknown(
            "The limits of the project cannot be read from Keystone at present. Try again later."
        )
    values: dict[str, int] = latest.registered | latest.projects.get(project or "", {})
    return values


@lru_cache(maxsize=1)
def _latest(_second: int) -> UnifiedLimits | None:
    return UnifiedLimits.objects.first()


def refresh() -> None:
    """Read the limits from Keystone and store them, if IMAGECATALOG_UNIFIED_LIMITS is on.

    Raises the errors of keystoneauth1 if Keystone does not answer or refuses.
    """
    if not settings.IMAGECATALOG_UNIFIED_LIMITS:
        return
    registered, projects = _read()
    UnifiedLimits.objects.update_or_create(
        pk=1,
        defaults={
            "read_at": timezone.now(),
            "registered": registered,
            "projects": projects,
        },
    )
    _latest.cache_clear()


def _read() -> tuple[dict[str, int], dict[str, dict[str, int]]]:
    session = _session()

    def rows(path: str, **query: str) -> list[dict[str, Any]]:
        url = f"{settings.IMAGECATALOG_KEYSTONE_URL}/{path}"
        document = session.get(url, params=query).json()
        found: list[dict[str, Any]] = document[path]
        return found

    services = {service["id"] for service in rows("services", type="image")}
    registered = {
        row["resource_name"]: int(row["default_limit"])
        for row in _ours(rows("registered_limits"), services)
    }
    projects: dict[str, dict[str, int]] = {}
    for row in _ours(rows("limits"), services):
        if row.get("project_id"):
            own = projects.setdefault(row["project_id"], {})
            own[row["resource_name"]] = int(row["resource_limit"])
    return registered, projects


def _ours(rows: list[dict[str, Any]], services: set[str]) -> list[Mapping[str, Any]]:
    """Return the rows of limits that apply to our service (its ids are ``services``) in our region.

    A row without a region applies, too. Rows of our region come last, because they replace rows
    without a region.
    """
    ours = [
        row
        for row in rows
        if row["service_id"] in services
        and row["region_id"] in (None, settings.IMAGECATALOG_REGION)
    ]
    return sorted(ours, key=lambda row: row["region_id"] is not None)


def _session() -> Any:
    # A part of the package that IMAGECATALOG_AUTH=keystone needs.
    from keystoneauth1.identity.v3 import Password
    from keystoneauth1.session import Session

    # Only with a token for the whole system does Keystone list the limits of all projects.
    auth = Password(
        auth_url=settings.IMAGECATALOG_KEYSTONE_URL,
        username=settings.IMAGECATALOG_KEYSTONE_USERNAME,
        password=settings.IMAGECATALOG_KEYSTONE_PASSWORD,
        user_domain_id=settings.IMAGECATALOG_KEYSTONE_DOMAIN,
        system_scope="all",
    )
    return Session(auth=auth, timeout=TIMEOUT)


DUTIES = (
    Duty(
        "read limits from Keystone",
        refresh,
        period=float(settings.IMAGECATALOG_UNIFIED_LIMITS_SECONDS),
        may_block=True,
        when_paused=True,
    ),
)
