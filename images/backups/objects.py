"""The objects in a backup: a file for each, shared with the previous backup by hard links."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import closing, suppress
from pathlib import Path
from typing import Final

from images import errors, stores
from images.backups import BackupError, folders
from images.backups.contents import NeededObject
from images.stores.digests import Digests, digesting
from images.stores.keys import checked

FOLDER: Final = "objects"
BLOCK: Final = 1 << 20  # bytes


def path_of(backup: Path, needed: NeededObject) -> Path:
    """Return the path of an object's copy in a backup."""
    return backup / FOLDER / f"store-{needed.store}" / checked(needed.key)


def are_in(backup: Path) -> bool:
    """Return whether a backup has objects."""
    return (backup / FOLDER).is_dir()


def copy_all(
    objects: Iterable[NeededObject], backup: Path, previous: Path | None
) -> dict[str, int]:
    """Copy objects into a backup; return how many were copied, linked and missing.

    An object that the previous backup has is not copied but linked, because objects never
    change. An object that was deleted after the database was copied is missing. Raises
    BackupError if a store fails.
    """
    counts = Counter(copied=0, linked=0, missing=0)
    for needed in objects:
        counts[_copy(needed, backup, previous)] += 1
    return dict(counts)


def _copy(needed: NeededObject, backup: Path, previous: Path | None) -> str:
    path = path_of(backup, needed)
    folders.make_folder(path.parent)
    if previous is not None:
        # It has no such copy, or it is on a file system without links.
        with suppress(OSError):
            os.link(path_of(previous, needed), path)
            return "linked"
    try:
        store = stores.get_for_location(needed.store)
        with (
            closing(store.open(needed.key)) as blocks,
            open(folders.create_file(path), "wb") as file,
        ):
            file.writelines(blocks)
    except errors.DataMissing:
        return "missing"
    except errors.StoreError as error:
        raise BackupError(
            f"The object {needed.key} of store {needed.store!r} cannot be read: {error}"
        ) from error
    return "copied"


def damaged(
    objects: Iterable[NeededObject], backup: Path, missing: int
) -> Iterator[str]:
    """Yield a sentence about each damaged copy of an object, and one if too many have no copy.

    A copy is damaged if it does not have the object's size or digest. ``missing`` is the number
    of objects that can be without a copy, because they were missing when the backup was made.
    """
    without = 0
    for needed in objects:
        path = path_of(backup, needed)
        if not path.is_file():
            without += 1
        elif not _is_right(needed, path):
            yield f"The object {needed.key} of store {needed.store!r} is damaged."
    if without > missing:
        yield f"{without - missing} objects have no copy."


def _is_right(needed: NeededObject, path: Path) -> bool:
    if needed.size not in (None, path.stat().st_size):
        return False
    if not needed.algorithm or not needed.digest:
        return True
    with Digests(needed.algorithm) as digests:
        for _ in digesting(read(path), digests):
            pass
        return digests.hexdigests()[needed.algorithm] == needed.digest


def read(path: Path) -> Iterator[bytes]:
    """Yield the bytes of a file in blocks."""
    with path.open("rb") as file:
        while block := file.read(BLOCK):
            yield block


def put_back(objects: Iterable[NeededObject], backup: Path) -> dict[str, int]:
    """Store the objects of a backup that their stores do not have; return counts.

    The counts are ``stored``, ``present`` (in its store already) and ``left_out`` (the copy is
    damaged, or its store is not configured). Raises BackupError if a store fails.
    """
    counts = Counter(stored=0, present=0, left_out=0)
    for needed in objects:
        path = path_of(backup, needed)
        if path.is_file():
            counts[_put_back(needed, path)] += 1
    return dict(counts)


def _put_back(needed: NeededObject, path: Path) -> str:
    try:
        store = stores.get_for_location(needed.store)
        store.check_mounted(in_use=lambda: False)
        with suppress(errors.DataMissing):
            store.size(needed.key)
            return "present"
        if not _is_right(needed, path):
            return "left_out"
        store.put(needed.key, read(path), path.stat().st_size)
    except errors.StoreNotConfigured:
        return "left_out"
    except errors.StoreError as error:
        raise BackupError(
            f"The object {needed.key} cannot be stored in {needed.store!r}: {error}"
        ) from error
    return "stored"
