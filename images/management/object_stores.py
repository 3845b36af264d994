"""The system check that asks the object stores whether they can be used."""

from __future__ import annotations

from typing import Any

from django.core.checks import Error
from django.core.exceptions import ImproperlyConfigured

from images import errors, stores
from images.operations import readiness
from images.stores.objects import ObjectStore


def answering(**options: Any) -> list[Error]:
    """Return an error for each object store that does not answer, or refuses the credentials.

    Each store is asked for an object that no store has. Nothing is written: the command
    `doctor` tries that.
    """
    try:
        configured = stores.configured()
    except ImproperlyConfigured:
        return []  # reported by the check of the settings
    asked = [(store, _failure(store)) for store in configured]
    return [
        Error(
            f"IMAGECATALOG_STORES: the store {store.id!r}: {failure.for_operator()}",
            hint=failure.cause(),
            id="imagecatalog.E010",
        )
        for store, failure in asked
        if failure
    ]


def _failure(store: stores.Store) -> errors.StoreError | None:
    if not isinstance(store, ObjectStore):
        return None
    try:
        readiness.ask(store)
    except errors.StoreError as error:
        return error
    return None
