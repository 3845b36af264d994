"""Functions that copy stored objects into a backup, check the copies, and store them again."""

from __future__ import annotations

from collections import Counter
from collections.abc import Generator, Iterable, Iterator
from contextlib import closing, contextmanager, suppress
from typing import Final

from images import errors, stores
from images.backups import BackupError
from images.backups.backup import Copies
from images.backups.contents import NeededObject
from images.stores.digests import Digests, digesting
from images.stores.keys import checked

FOLDER: Final = "objects"


class Damaged(Exception):
    """Raised if the copy of an object in a backup does not have the object's size or digest."""


def key_of(needed: NeededObject) -> str:
    """Return the key under which a backup has the copy of an object."""
    return f"{FOLDER}/store-{needed.store}/{checked(needed.key)}"


def copy_all(
    objects: Iterable[NeededObject], copies: Copies, previous: Copies | None
) -> dict[str, int]:
    """Copy objects into a backup; return how many were ``copied``, ``linked`` and ``missing``.

    ``previous`` has the copies of an earlier backup, or is None. An object that is among them is
    not copied but linked (both backups share it), because objects never change. An object that was
    deleted after the database was copied is missing. Raises BackupError if a store fails.
    """
    counts = Counter(copied=0, linked=0, missing=0)
    for needed in objects:
        counts[_copy(needed, copies, previous)] += 1
    return dict(counts)


def _copy(needed: NeededObject, copies: Copies, previous: Copies | None) -> str:
    key = key_of(needed)
    if (
        previous is not None
        and _has_copy(needed, previous)
        and copies.share(key, previous)
    ):
        return "linked"
    try:
        with _read_errors(needed):
            blocks = stores.get_for_location(needed.store).open(needed.key)
    except errors.DataMissing:
        return "missing"
    with closing(blocks):
        copies.add(key, _explained(needed, blocks))
    return "copied"


def _has_copy(needed: NeededObject, copies: Copies) -> bool:
    size = copies.size(key_of(needed))
    return size is not None and needed.size in (None, size)


def _explained(
    needed: NeededObject, blocks: Iterator[bytes]
) -> Generator[bytes, None, None]:
    with _read_errors(needed):
        yield from blocks


@contextmanager
def _read_errors(needed: NeededObject) -> Iterator[None]:
    try:
        yield
    except errors.DataMissing:
        raise
    except errors.StoreError as error:
        raise BackupError(
            f"The object {needed.key} of store {needed.store!r} cannot be read: "
            f"{error.for_operator()}"
        ) from error


def damaged(
    objects: Iterable[NeededObject], copies: Copies, missing: int
) -> Iterator[str]:
    """Yield a sentence about each damaged copy, and one if too many objects have no copy.

    A copy is damaged if it does not have the object's size or digest. ``missing`` is the number of
    objects that can be without a copy, because they were missing when the backup was made.
    """
    without = 0
    for needed in objects:
        size = copies.size(key_of(needed))
        if size is None:
            without += 1
            continue
        try:
            with closing(_checked(needed, size, copies)) as blocks:
                for _ in blocks:
                    pass
        except Damaged:
            yield f"The object {needed.key} of store {needed.store!r} is damaged."
    if without > missing:
        yield f"{without - missing} objects have no copy."


def _checked(
    needed: NeededObject, size: int, copies: Copies
) -> Generator[bytes, None, None]:
    """Yield the data of an object's copy, and compare it with the object's size and digest.

    ``size`` is that of the copy, in bytes. Raises Damaged if the size differs, before the first
    block, or if the digest differs, after the last block.
    """
    if needed.size not in (None, size):
        raise Damaged
    algorithm = needed.algorithm if needed.digest else None
    with (
        closing(copies.read(key_of(needed))) as blocks,
        Digests(*filter(None, [algorithm])) as digests,
    ):
        yield from digesting(blocks, digests)
        if algorithm and digests.hexdigests()[algorithm] != needed.digest:
            raise Damaged


def put_back(objects: Iterable[NeededObject], copies: Copies) -> dict[str, int]:
    """Store the objects of a backup that are missing in their stores; return counts.

    The counts are ``stored``, ``present`` (the store has the object already) and ``left_out`` (the
    copy is damaged, or the store is not configured). Objects without a copy are not counted. Raises
    BackupError if a store fails.
    """
    counts = Counter(stored=0, present=0, left_out=0)
    for needed in objects:
        size = copies.size(key_of(needed))
        if size is not None:
            counts[_put_back(needed, size, copies)] += 1
    return dict(counts)


def _put_back(needed: NeededObject, size: int, copies: Copies) -> str:
    try:
        store = stores.get_for_location(needed.store)
        store.check_mounted(in_use=lambda: False)
        with suppress(errors.DataMissing):
            store.size(needed.key)
            return "present"
        # An earlier restore that was killed may have left a part of it.
        store.delete(needed.key, abandoned=True)
        with closing(_checked(needed, size, copies)) as blocks:
            store.put(needed.key, blocks, size)
    except (errors.StoreNotConfigured, Damaged):
        return "left_out"
    except errors.StoreError as error:
        raise BackupError(
            f"The object {needed.key} cannot be stored in {needed.store!r}: "
            f"{error.for_operator()}"
        ) from error
    return "stored"
