"""Django's system checks of ours: what every command says before it begins."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning
from django.core.exceptions import ImproperlyConfigured

from imagecatalog import env
from images import access, property_schema, stores
from images.stores.local import LocalStore


def variables(**options: Any) -> list[Warning]:
    """A variable with a wrong name has no effect, and nobody would notice."""
    return [
        Warning(
            f"{name} is set, but there is no such variable.",
            hint=f"Did you mean {' or '.join(meant)}?" if meant else None,
            id="imagecatalog.W001",
        )
        for name, meant in env.misspelt().items()
    ]


def places(**options: Any) -> list[CheckMessage]:
    """What is wrong with the stores shall show now, not in somebody's first upload."""
    try:
        configured = stores.configured()
    except ImproperlyConfigured as error:
        return [Error(str(error), id="imagecatalog.E001")]
    return [
        Warning(
            f"Nothing can be kept in the store {store.id!r}: this user may not write to "
            f"{store.root}.",
            hint="Make the folder, and give it to the user who runs the service.",
            id="imagecatalog.W002",
        )
        for store in configured
        if isinstance(store, LocalStore) and not _may_write(store.root)
    ]


def rules(**options: Any) -> list[CheckMessage]:
    """Rules that cannot be read must not be taken for no rules."""
    return _readable(access.overrides, "imagecatalog.E002")


def properties(**options: Any) -> list[CheckMessage]:
    """Nor a schema for no schema."""
    return _readable(property_schema.described, "imagecatalog.E003")


def _readable(read: Callable[[], object], check_id: str) -> list[CheckMessage]:
    try:
        read()
    except ImproperlyConfigured as error:
        return [Error(str(error), id=check_id)]
    return []


def certificates(**options: Any) -> list[CheckMessage]:
    """Without them every signed image would be refused."""
    folder = settings.IMAGECATALOG_SIGNATURE_CERTIFICATES
    if not folder or (os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)):
        return []
    said = (
        f"IMAGECATALOG_SIGNATURE_CERTIFICATES: {folder} is no folder that can be read."
    )
    return [Error(said, id="imagecatalog.E004")]


def _may_write(folder: Path) -> bool:
    """Or to the nearest folder above that is there: the store makes its own."""
    nearest = next(it for it in (folder, *folder.parents) if os.path.exists(it))
    return nearest.is_dir() and os.access(nearest, os.W_OK | os.X_OK)
