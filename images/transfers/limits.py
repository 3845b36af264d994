"""The limits of a project, by the names that the Image API and Keystone have for them."""

from __future__ import annotations

from typing import Final

from django.conf import settings

SIZE_TOTAL: Final = "image_size_total"
STAGE_TOTAL: Final = "image_stage_total"
COUNT_TOTAL: Final = "image_count_total"
COUNT_UPLOADING: Final = "image_count_uploading"
# What one unit of a limit is, in bytes or images: clients give and get sizes in MiB.
UNITS: Final = {
    SIZE_TOTAL: 1 << 20,
    STAGE_TOTAL: 1 << 20,
    COUNT_TOTAL: 1,
    COUNT_UPLOADING: 1,
}
Limits = dict[str, int | None]  # by name, in bytes or images; None: no limit


def defaults() -> Limits:
    """Return the limits of a project that has none of its own."""
    return {
        SIZE_TOTAL: settings.IMAGECATALOG_USER_STORAGE_QUOTA or None,
        STAGE_TOTAL: settings.IMAGECATALOG_USER_STAGING_QUOTA or None,
        COUNT_TOTAL: _number(settings.IMAGECATALOG_IMAGE_COUNT_TOTAL),
        COUNT_UPLOADING: _number(settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING),
    }


def in_units(name: str, amount: int | None) -> int:
    """Return a limit in bytes or images as clients see it: in MiB or images; -1 is no limit."""
    return -1 if amount is None else amount // UNITS[name]


def _number(limit: int) -> int | None:
    return None if limit < 0 else limit
