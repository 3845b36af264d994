"""Checks of the stores, of free disk space, and of file permissions on this machine."""

from __future__ import annotations

import os
import stat
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import islice
from pathlib import Path
from uuid import uuid4

from django.conf import settings
from django.db import connection
from django.utils import timezone

from images import data_folder, errors, lifecycle, stores
from images.backups import places
from images.console import iso
from images.management.doctor.result import Result, fail, ok, warn
from images.operations.readiness import NOBODY
from images.stores.local import LocalStore
from images.stores.objects import ObjectStore
from images.transfers.keys import key_of
from images.units import counted, size

PROBE = b"a probe of the doctor, which removes it"
LITTLE = 0.10  # free fraction of a disk
VERY_LITTLE = 0.02
OLD_UPLOAD = timedelta(days=1)
MOST_UPLOADS = 10_000  # that are looked at
RULE = (
    "Give the bucket a rule that aborts incomplete multipart uploads after a day, or allow the key "
    "s3:ListBucketMultipartUploads and s3:AbortMultipartUpload."
)
ADVICE = "Make the store available, or correct IMAGECATALOG_STORES."


def all_stores() -> Iterator[Result]:
    """Try to write, read, list and delete an object in each store; yield a result for each store."""
    for store in stores.configured():
        begun = time.monotonic()
        try:
            _try(store)
        except errors.ImageError as error:
            yield fail("store", f"{store.id!r}: {error.with_cause()}", ADVICE)
        else:
            ms = (time.monotonic() - begun) * 1000
            yield ok(
                "store",
                f"{store.id!r}: an object was written, read, listed and deleted in {ms:.0f} ms",
            )


def _try(store: stores.Store) -> None:
    lifecycle.check_mounted(store)
    key = key_of(str(NOBODY), uuid4())
    try:
        store.put(key, [PROBE], len(PROBE))
        with closing(store.open(key)) as blocks:
            found = b"".join(blocks)
        next(store.keys(), None)
    finally:
        store.delete(key)
    if found != PROBE:
        raise errors.StoreError("The store returned other data than was written.")


def unfinished_uploads() -> Iterator[Result]:
    """Yield for each object store whether it has multipart uploads that dead processes have left.

    They are multipart uploads that were begun over a day ago and have not ended. They cost
    money.
    """
    for store in stores.configured():
        if isinstance(store, ObjectStore):
            yield from _unfinished(store)


def _unfinished(store: ObjectStore) -> Iterator[Result]:
    try:
        begun = [it.begun_at for it in islice(store.unfinished_uploads(), MOST_UPLOADS)]
    except errors.StoreError as error:
        yield warn("uploads", f"{store.id!r}: {error.with_cause()}", RULE)
        return
    old = [at for at in begun if at and timezone.now() - at > OLD_UPLOAD]
    if old:
        yield warn(
            "uploads",
            f"{store.id!r}: {counted(len(old), 'multipart upload')} of dead processes, the oldest of "
            f"{iso(min(old))}",
            RULE,
        )
    else:
        yield ok("uploads", f"{store.id!r}: no multipart upload is left over")


def disks() -> Iterator[Result]:
    """Yield the free space of each disk to which the service writes; warn or fail if it is little."""
    seen = set()
    for folder in _folders():
        if not folder.is_dir() or folder.stat().st_dev in seen:
            continue
        seen.add(folder.stat().st_dev)
        status = os.statvfs(folder)
        free, total = (
            status.f_bavail * status.f_frsize,
            status.f_blocks * status.f_frsize,
        )
        text = f"{folder}: {size(free)} of {size(total)} are free"
        if free > LITTLE * total:
            yield ok("disk", text)
        else:
            judge = warn if free > VERY_LITTLE * total else fail
            yield judge("disk", text, "Free space, or use a larger disk.")


def _folders() -> Iterator[Path]:
    yield settings.IMAGECATALOG_DATA_DIR
    for store in stores.configured():
        if isinstance(store, LocalStore):
            yield store.root
    for folder in (settings.IMAGECATALOG_CACHE_DIR, settings.IMAGECATALOG_BACKUP_DIR):
        if folder and not places.is_url(folder):
            yield Path(folder)


def permissions() -> Iterator[Result]:
    """Yield a warning for each private file or folder that every user of this machine can access.

    They are the data folder, the secret key, a SQLite database, and the folder of the key that
    signs what is published. If none is wrong, yields one good result.
    """
    wrong = [path for path in _private() if path.exists() and _is_public(path)]
    for path in wrong:
        yield warn(
            "permissions",
            f"every user of this machine can read {path}",
            f"chmod o-rwx {path}",
        )
    if not wrong:
        yield ok(
            "permissions", "only the service and its group can read the data folder"
        )


def _private() -> Iterator[Path]:
    data = settings.IMAGECATALOG_DATA_DIR
    yield data
    yield data / data_folder.KEY_FILE
    if connection.vendor == "sqlite":
        yield Path(connection.settings_dict["NAME"])
    if folder := settings.IMAGECATALOG_PUBLISH_KEY:
        yield Path(folder)


def _is_public(path: Path) -> bool:
    return bool(path.stat().st_mode & (stat.S_IROTH | stat.S_IWOTH))
