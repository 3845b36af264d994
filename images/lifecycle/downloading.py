"""Download of an image's data, from the first copy that can be opened."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from django.db.models import F

from images import access, cache, db, errors, min_rate, stores
from images.access import Caller, Target
from images.lifecycle.location_preparation import trusts_owners
from images.lifecycle.uploading import log
from images.models import (
    READABLE_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
)
from images.models.location import MISSING
from images.stores.digests import Digests, digesting
from images.stores.local import FilePart
from images.transfers import concurrency

KNOWN = ("size", "checksum", "os_hash_algo", "os_hash_value")  # of an image's data
SLICE = 1 << 16  # bytes


def check_download(caller: Caller, image: Target) -> None:
    """Raise Forbidden if the image is deactivated and the caller is not allowed to download it.

    The rule ``download_image`` is checked elsewhere.
    """
    withheld = image["status"] == Status.DEACTIVATED
    if withheld and not access.may(caller, "download_deactivated", image):
        raise errors.Forbidden(
            "The requested image has been deactivated. "
            "Image data download is forbidden."
        )


def allows_damaged(caller: Caller, image: Target) -> bool:
    """Return whether the caller gets the data of a damaged copy if no other copy can be read.

    By default nobody does; the rule ``download_damaged`` of a policy file can allow it, to rescue
    what is left of the data.
    """
    return access.may(caller, "download_damaged", image)


def serves_ranges(image: Target) -> bool:
    """Return whether a part of an image's data can be sent without the whole data.

    It cannot if only external web servers have the data, because no digest tells whether a part
    is still the same as in the checked data. IMAGECATALOG_LOCATION_DATA can allow it.
    """
    copies = {store for store, *_ in image["locations"]}
    return trusts_owners() or copies != {stores.HTTP.id}


def read(
    image_id: str,
    start: int = 0,
    stop: int | None = None,
    *,
    preferred: Sequence[str] = (),
    allow_damaged: bool = False,
) -> Iterator[bytes]:
    """Return an iterator over bytes [start, stop) of an image, from the first copy that can be opened.

    Data that this machine has cached is read from its cache. ``preferred`` stores are tried
    first, then other stores, by descending weight. Copies that are known to be damaged are read
    only with ``allow_damaged``, after all others and without a comparison. When all bytes of any
    other copy are read from an object store or a URL, their digest is compared before the last block
    is returned. A file in a folder is not compared: the kernel sends it without the service.

    Before the first block, raises DataMissing (no copy has data, or the status is neither
    active nor deactivated), DataDamaged (only damaged copies are left) or StoreError (no copy can
    be read now, or too many downloads read from URLs). Between two blocks, also raises DataDamaged
    if the data has another digest than the image, and StoreError if the client reads data at a URL
    far too slowly.
    """
    failure: errors.StoreError = errors.DataMissing("The image has no data.")
    copies = _copies(image_id)
    if not copies and _has_no_bytes(image_id):
        return _nothing()
    db.release_connection()
    # One deadline for the reads of all URLs of the image.
    until = time.monotonic() + concurrency.WAIT_SECONDS
    ordered = stores.heaviest_first(copies, preferred)
    for store_id, key in sorted(ordered, key=lambda copy: copies[copy]["damage"] != ""):
        part = Part(start, stop, copies[store_id, key], allow_damaged)
        try:
            return _open(store_id, key, part, until)
        except errors.StoreError as error:
            last = error
        except errors.Invalid as error:  # the URL filter refuses this URL now
            last = errors.DataMissing(str(error))
        log.warning(
            "the copy of image %s in store %s cannot be read",
            image_id,
            store_id,
            exc_info=last,
        )
        last.logged = True
        # DataMissing is raised only if every copy is known to be missing.
        if isinstance(failure, errors.DataMissing):
            failure = last
    raise failure


@dataclass(frozen=True)
class Part:
    """The bytes [start, stop) of one copy of an image, with the size and digests of the whole data."""

    start: int
    stop: int | None
    copy: Mapping[str, Any]  # its location, and size and digests of its image
    allow_damaged: bool = False  # whether to read the copy even if it is damaged

    @property
    def is_damaged(self) -> bool:
        """Whether the copy is known to be damaged.

        A copy whose bytes were missing does not count: bytes that are there again are right,
        because keys are never reused. Nor does data at a URL that its owner is allowed to change.
        """
        damage = str(self.copy["damage"])
        is_wrong = damage != "" and not damage.startswith(MISSING)
        return is_wrong and not _is_changeable(self.copy)

    @property
    def is_whole(self) -> bool:
        """Whether the part is all of the copy's data."""
        size = self.copy["size"]
        ends = self.stop is None or (size is not None and self.stop >= size)
        return not self.start and ends

    def digest(self) -> tuple[str, str] | None:
        """Return (algorithm, digest) if this part must be compared with a digest when it is read, or None.

        Only a part that is the whole data can be compared. There is one algorithm, as each
        costs processor time, and not MD5 if there is another one: the owner of a web server can
        prepare different data with the same MD5. If IMAGECATALOG_LOCATION_DATA trusts owners,
        they can change the data at a URL, so there is no digest for it. A damaged copy, which is
        read only to rescue its data, is not compared either.
        """
        return _digest(self.copy) if self.is_whole and not self.is_damaged else None

    def content(self) -> cache.Content | None:
        """Return the key by which the cache finds the copy's data; None if it must not be cached.

        Data without a known digest is not cached, because it could not be compared; nor is
        local data, which is as fast as the cache.
        """
        copy, digest = self.copy, _digest(self.copy)
        if not cache.is_on() or not digest or not copy["size"]:
            return None
        if not stores.get_for_location(copy["store"]).cached:
            return None
        image_id, checksum = str(copy["image_id"]), copy["checksum"]
        return cache.Content(image_id, copy["size"], *digest, checksum)


def _is_changeable(copy: Mapping[str, Any]) -> bool:
    """Return whether the data of a copy is at a URL and its owner is allowed to change it."""
    return copy["store"] == stores.HTTP.id and trusts_owners()


def _digest(copy: Mapping[str, Any]) -> tuple[str, str] | None:
    if _is_changeable(copy):
        return None
    algorithm, value = copy["os_hash_algo"], copy["os_hash_value"]
    if value and algorithm in hashlib.algorithms_guaranteed:
        return algorithm, value.lower()
    return copy["checksum"] and ("md5", copy["checksum"].lower())


def _copies(image_id: str) -> dict[tuple[str, str], dict[str, Any]]:
    locations = ImageLocation.objects.filter(
        image=image_id,
        image__status__in=READABLE_STATUSES,
        status=LocationStatus.ACTIVE,
    )
    known = {name: F(f"image__{name}") for name in KNOWN}
    rows: Any = locations.order_by("pk").values(
        "image_id", "store", "key", "damage", **known
    )
    return {(row["store"], row["key"]): row for row in rows}


def _open(store_id: str, key: str, part: Part, until: float) -> Iterator[bytes]:
    content = part.content()
    if content is None:
        return _open_copy(store_id, key, part, until)
    cached = cache.read(content, part.start, part.stop)
    if cached is not None:
        return cached
    blocks = _open_copy(store_id, key, part, until)
    if part.is_damaged or not part.is_whole:
        return blocks
    if isinstance(blocks, FilePart):  # a file is compared only before it is cached
        blocks = _begun(_verified(blocks, part))
    return cache.Filling(blocks, content)


def _open_copy(store_id: str, key: str, part: Part, until: float) -> Iterator[bytes]:
    if part.is_damaged and not part.allow_damaged:
        raise _damaged(part, str(part.copy["damage"]).rstrip("."))
    if store_id == stores.HTTP.id:
        if not (part.is_whole or trusts_owners()):
            raise errors.StoreError(
                "A part of data at a URL is not sent, because it cannot be compared."
            )
        return _begun(_web_blocks(key, part, until))
    blocks = stores.get_for_location(store_id).open(key, part.start, part.stop)
    if hasattr(blocks, "send_to"):
        return blocks
    return _begun(_verified(blocks, part))


def _begun(blocks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    """Read the first block now, and return an iterator over all blocks.

    An error of the first block is thus raised here, and ``close()`` on the result also closes
    ``blocks``, even if the result is never iterated.
    """
    begun = _with_first(blocks)
    next(begun)
    return begun


def _with_first(blocks: Generator[bytes, None, None]) -> Generator[bytes, None, None]:
    with closing(blocks):
        first = next(blocks, b"")
        yield b""
        yield first
        del first  # a download can last for hours
        yield from blocks


def _verified(blocks: stores.Blocks, part: Part) -> Generator[bytes, None, None]:
    """Yield the blocks of a part, and compare their digest with the digest of the image.

    Raises DataDamaged before the last block if the digests differ. A part without a digest is
    yielded without a comparison.
    """
    digest = part.digest()
    with closing(blocks):
        if digest is None:
            yield from blocks
            return
        algorithm, value = digest
        held: bytes | None = None
        with Digests(algorithm) as digests:
            for block in digesting(blocks, digests):
                if held is not None:
                    yield held
                held = block
            if digests.hexdigests()[algorithm] != value:
                raise _digest_differs(part, algorithm)
        if held is not None:
            yield held


def _web_blocks(key: str, part: Part, until: float) -> Generator[bytes, None, None]:
    with (
        concurrency.slot(concurrency.DOWNLOADS, until),
        closing(stores.HTTP.open(key, part.start, part.stop)) as opened,
        closing(_verified(opened, part)) as blocks,
    ):
        # Other downloads wait for this slot, so a slow client must not hold it.
        yield from min_rate.send(_sliced(blocks), _too_slow)


def _sliced(blocks: Iterable[bytes]) -> Iterator[bytes]:
    for block in blocks:
        for start in range(0, len(block), SLICE):
            yield block[start : start + SLICE]


def _digest_differs(part: Part, algorithm: str) -> errors.DataDamaged:
    log.error(
        "the data of image %s in store %s has another %s digest than the image",
        part.copy["image_id"],
        part.copy["store"],
        algorithm,
    )
    return _damaged(part, "its digest differs from that of the image")


def _damaged(part: Part, damage: str) -> errors.DataDamaged:
    image_id, store_id = part.copy["image_id"], part.copy["store"]
    error = errors.DataDamaged(
        f"The data in the store is damaged: {damage}. Tell the operator, who can verify the copies "
        "of the image."
    )
    error.operator_message = (
        f"The data in the store {store_id!r} is damaged: {damage}. Run "
        f"`image_verify {image_id}`, which reads all copies."
    )
    error.logged = True
    return error


def _too_slow() -> errors.StoreError:
    return errors.StoreError(
        "The client reads data at a URL far too slowly, while other downloads wait. "
        "Download the image again over a faster connection."
    )


def _nothing() -> Iterator[bytes]:
    yield from ()


def _has_no_bytes(image_id: str) -> bool:
    # API v1 can create an active image of 0 bytes, which has no location.
    readable = Image.objects.filter(status__in=READABLE_STATUSES)
    return readable.filter(pk=image_id, size=0).exists()
