"""The limits of a project, by the names that the Image API and Keystone have for them.

The limits come from the settings, unless the operator has set limits for the project. With
IMAGECATALOG_UNIFIED_LIMITS all limits come from Keystone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final

from django.conf import settings
from django.db import transaction

from images import errors
from images.models import QuotaLimit, quota_limit
from images.transfers import unified_limits

log = logging.getLogger(__name__)

SIZE_TOTAL: Final = quota_limit.SIZE_TOTAL
STAGE_TOTAL: Final = quota_limit.STAGE_TOTAL
COUNT_TOTAL: Final = quota_limit.COUNT_TOTAL
COUNT_UPLOADING: Final = quota_limit.COUNT_UPLOADING
# What one unit of a limit is, in bytes or images: clients give and get sizes in MiB.
UNITS: Final = {
    SIZE_TOTAL: 1 << 20,
    STAGE_TOTAL: 1 << 20,
    COUNT_TOTAL: 1,
    COUNT_UPLOADING: 1,
}
LARGEST: Final = quota_limit.LARGEST
Limits = dict[str, int | None]  # by name, in bytes or images; None: no limit


def of(project: str | None) -> Limits:
    """Return all limits of a project: name -> bytes or images; None: no limit.

    The project's own limits are read from the database at most once a second. Raises
    LimitsUnknown if the limits of Keystone are needed and were not read for too long.
    """
    if settings.IMAGECATALOG_UNIFIED_LIMITS:
        return _in_keystone(project)
    chosen = own(project)
    limits = _defaults() | {
        name: _in_bytes(name, value) for name, value in chosen.items()
    }
    if stages_as_stored() and STAGE_TOTAL not in chosen:
        limits[STAGE_TOTAL] = limits[SIZE_TOTAL]
    return limits


def stages_as_stored() -> bool:
    """Return whether the default limit of staged data is the project's limit of stored data."""
    return settings.IMAGECATALOG_USER_STAGING_QUOTA is None


def source(project: str | None, name: str) -> str:
    """Return where a limit of a project comes from: ``keystone``, ``project`` or ``default``."""
    if settings.IMAGECATALOG_UNIFIED_LIMITS:
        return "keystone"
    return "project" if name in own(project) else "default"


def own(project: str | None) -> Mapping[str, int]:
    """Return the limits that the operator has set for this project: name -> MiB or images.

    -1 is no limit.
    """
    return _own(project, int(time.monotonic())) if project else {}


def of_all(name: str) -> Callable[[str | None], int | None]:
    """Return a function that returns the limit ``name`` of a project, in bytes or images.

    The function returns None for no limit. One query for all projects.
    """
    if settings.IMAGECATALOG_UNIFIED_LIMITS:
        return lambda project: _in_keystone(project)[name]
    rows = QuotaLimit.objects.filter(name=name).values_list("project", "value")
    chosen: dict[str | None, int] = dict(rows)
    default = _defaults()[name]

    def limit(project: str | None) -> int | None:
        if project not in chosen:
            return default
        return _in_bytes(name, chosen[project])

    return limit


def of_all_trash() -> Callable[[str | None], int | None]:
    """Return a function that returns how many bytes a project's trash is allowed to have, as ``of_trash``.

    One query for all projects.
    """
    limit = settings.IMAGECATALOG_USER_TRASH_QUOTA
    return of_all(SIZE_TOTAL) if limit is None else lambda project: limit or None


def of_trash(project: str | None) -> int | None:
    """Return how many bytes the trash of a project is allowed to have; None: no limit."""
    limit = settings.IMAGECATALOG_USER_TRASH_QUOTA
    return of(project)[SIZE_TOTAL] if limit is None else limit or None


def set_own(project: str, wanted: Mapping[str, int | None]) -> None:
    """Set limits of one project, in MiB or images; -1 is no limit, None restores the default.

    A project that exceeds a new limit keeps what it has; only growth is refused. Raises
    Invalid for an unknown name or a number that is no limit, and Conflict if Keystone has the
    limits.
    """
    if settings.IMAGECATALOG_UNIFIED_LIMITS:
        raise errors.Conflict(
            "The limits are those of Keystone (IMAGECATALOG_UNIFIED_LIMITS). Change them there."
        )
    for name, value in wanted.items():
        if name not in UNITS:
            raise errors.Invalid(
                f"There is no limit {name!r}. The limits are: {', '.join(UNITS)}."
            )
        is_number = isinstance(value, int) and not isinstance(value, bool)
        if value is not None and not (is_number and -1 <= value <= LARGEST):
            raise errors.Invalid(
                f"{name} must be a whole number from -1 (no limit) to {LARGEST}."
            )
    with transaction.atomic():
        for name, value in wanted.items():
            _set(project, name, value)
    _own.cache_clear()


def _set(project: str, name: str, value: int | None) -> None:
    if value is None:
        QuotaLimit.objects.filter(project=project, name=name).delete()
    else:
        QuotaLimit.objects.update_or_create(
            project=project, name=name, defaults={"value": value}
        )
    log.info("limit %s of project %s is now %s", name, project, value)


def in_units(name: str, amount: int | None) -> int:
    """Convert a limit from bytes or images to the units of clients: MiB or images; no limit: -1."""
    return -1 if amount is None else amount // UNITS[name]


def _defaults() -> Limits:
    return {
        SIZE_TOTAL: settings.IMAGECATALOG_USER_STORAGE_QUOTA or None,
        STAGE_TOTAL: settings.IMAGECATALOG_USER_STAGING_QUOTA or None,
        COUNT_TOTAL: _number(settings.IMAGECATALOG_IMAGE_COUNT_TOTAL),
        COUNT_UPLOADING: _number(settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING),
    }


def _in_keystone(project: str | None) -> Limits:
    values = unified_limits.of(project)
    # As elsewhere, nothing is allowed of what has no registered limit.
    return {name: _in_bytes(name, values.get(name, 0)) for name in UNITS}


def _in_bytes(name: str, value: int) -> int | None:
    return None if value < 0 else value * UNITS[name]


def _number(limit: int) -> int | None:
    return None if limit < 0 else limit


@lru_cache(maxsize=10_000)
def _own(project: str, _second: int) -> Mapping[str, int]:
    return dict(QuotaLimit.objects.filter(project=project).values_list("name", "value"))
