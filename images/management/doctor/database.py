"""Checks of the database: connection, tables, permissions, clock and location."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path

from django.conf import settings
from django.core.management.base import CommandError
from django.db import DatabaseError, connection, transaction
from django.utils import timezone

from images import data_folder, db, outages
from images.management import schema
from images.management.doctor.result import Result, fail, ok, warn
from images.models import WorkerReport
from images.operations import unconfigured_stores

SLOW = 0.1  # seconds for one answer
MOST_SKEW = 1.0  # seconds between the clocks of two machines
NETWORK = ("nfs", "cifs", "smb", "9p", "fuse.sshfs", "ceph", "glusterfs")
ISOLATION = "read committed"
NEVER_ID = -1  # primary key of a row that is rolled back


def tables() -> Iterator[Result]:
    """Yield whether the database answers, and whether all migrations of this release are applied."""
    if not db.exists():
        yield fail(
            "database",
            f"{data_folder.database_name()} does not exist",
            data_folder.creation_advice("serve"),
        )
        return
    begun = time.monotonic()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
    seconds = time.monotonic() - begun
    version = ".".join(map(str, connection.get_database_version()))
    text = f"{connection.display_name} {version} answered in {seconds * 1000:.0f} ms"
    if seconds > SLOW:
        yield warn("database", text, "Look at the load of its server and the network.")
    else:
        yield ok("database", text)
    yield _migrations()


def _migrations() -> Result:
    try:
        schema.refuse_newer()
    except CommandError as error:
        return fail("migrations", str(error), "Install the newer release.")
    if pending := schema.pending():
        return fail(
            "migrations",
            f"not applied: {', '.join(pending)}",
            "Run `migrate`, or start `serve`, which does so.",
        )
    return ok("migrations", "all are applied")


def rights() -> Iterator[Result]:
    """Write a row and roll back the transaction; yield that a row can be written.

    Raises DatabaseError if it cannot be written.
    """
    with transaction.atomic():
        WorkerReport.objects.create(pk=NEVER_ID, reported_at=timezone.now())
        transaction.set_rollback(True)
    yield ok("writing", "a row can be written")


def isolation() -> Iterator[Result]:
    """Yield a failure if PostgreSQL's transactions lack the isolation level that the service needs.

    Yields nothing for SQLite, or if the level is right.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        cursor.execute("SHOW default_transaction_isolation")
        (found,) = cursor.fetchone()
    if found != ISOLATION:
        yield fail(
            "isolation",
            f"transactions of the service's user are {found}",
            f"ALTER ROLE … SET default_transaction_isolation = '{ISOLATION}'",
        )


def clock() -> Iterator[Result]:
    """Yield how much this machine's clock differs from the clock of the PostgreSQL server.

    Yields nothing for SQLite.
    """
    if connection.vendor != "postgresql":
        return
    with connection.cursor() as cursor:
        before = timezone.now()
        cursor.execute("SELECT clock_timestamp()")
        (there,) = cursor.fetchone()
    skew = abs((there - before).total_seconds())
    if skew <= MOST_SKEW:
        yield ok("clock", f"{skew:.1f} s from the clock of the database")
        return
    judge = fail if skew > settings.IMAGECATALOG_LEASE_SECONDS / 2 else warn
    yield judge(
        "clock",
        f"{skew:.0f} s from the clock of the database",
        "Synchronize the clocks of all machines (NTP): transfers of a machine whose clock is wrong "
        "count as dead.",
    )


def file_system() -> Iterator[Result]:
    """Yield a failure for a SQLite database on a network file system: its locks do not work there.

    Otherwise yields nothing.
    """
    if connection.vendor != "sqlite":
        return
    path = Path(connection.settings_dict["NAME"]).resolve()
    kind = _file_system_of(path, Path("/proc/self/mounts").read_text())
    if kind.startswith(NETWORK):
        yield fail(
            "database",
            f"{path} is on a network file system ({kind})",
            "Move it to a disk of this machine, or use PostgreSQL: SQLite's locks do not hold there.",
        )


def _file_system_of(path: Path, mounts: str) -> str:
    """Return the type of the file system that has ``path``, such as ``nfs``.

    ``mounts`` is the content of /proc/mounts. Empty if the type cannot be found there.
    """
    kinds = {}
    for line in mounts.splitlines():
        _, folder, kind, *_ = line.split(" ")
        kinds[folder.encode().decode("unicode_escape")] = kind
    holding = [folder for folder in kinds if path.is_relative_to(folder)]
    return kinds[max(holding, key=len)] if holding else ""


def needed_stores() -> Iterator[Result]:
    """Yield a failure if stores with data of images are not configured; otherwise nothing."""
    if needed := unconfigured_stores.images_by_store():
        yield fail(
            "stores",
            f"images need stores that are not configured: {unconfigured_stores.summary(needed)}",
            "Add the stores to IMAGECATALOG_STORES.",
        )


def reason(error: DatabaseError) -> Result:
    """Return a failed result with the reason why the database cannot be used."""
    return fail("database", outages.reason(error), "Check DATABASE_URL and the server.")
