"""Whether this machine can serve requests, component by component."""

from __future__ import annotations

from contextlib import suppress
from typing import Final
from uuid import UUID

from django.conf import settings
from django.db import Error, connections

from images import errors, lifecycle, stores
from images.operations import health
from images.operations.shared_check import SharedCheck

STORE_SECONDS: Final = 2.0  # that a caller waits for the default store
NOBODY: Final = UUID(int=0)
ABSENT: Final = f"00/{NOBODY}.{NOBODY.hex}"  # a key that no object has


def problems() -> dict[str, str | None]:
    """Return for each component a sentence about what is wrong with it; None if it works.

    The components are ``database``, ``worker``, ``store`` (the default store) and
    ``maintenance``, which has a problem while the operator keeps a file with this name in the
    data folder. Takes at most three seconds.
    """
    problem = health.problem()
    without_worker = problem == health.NO_WORKER
    return {
        "database": None if without_worker else problem,
        "worker": problem if without_worker else None,
        "store": _store_problem(),
        "maintenance": _maintenance(),
    }


def _maintenance() -> str | None:
    path = settings.IMAGECATALOG_DATA_DIR / health.MAINTENANCE
    return f"The file {path} exists." if health.is_taken_out() else None


def ask(store: stores.Store) -> None:
    """Ask a store for an object that no store has. Raises StoreError if the store does not answer."""
    with suppress(errors.DataMissing):
        store.open(ABSENT).close()


def _store_problem() -> str | None:
    """Return why the default store does not answer; None if it does."""
    try:
        _store_check.result(STORE_SECONDS)
    except TimeoutError:
        return "The default store does not answer."
    except errors.ImageError as error:
        return error.for_operator()
    except OSError as error:
        return str(error)
    except Error:
        return None  # the database's own check reports it
    return None


def _ask_store() -> None:
    store = stores.default()
    try:
        lifecycle.check_mounted(store)
        ask(store)
    finally:
        connections.close_all()


_store_check = SharedCheck(_ask_store, "readiness")
