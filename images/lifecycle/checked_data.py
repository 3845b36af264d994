"""The checks that an image's data passes before the image is active, however the data comes.

One pass over the bytes counts, digests and inspects them. They are compared with the image's
signature, with the digests that its owner states in custom properties, and with the size and
digests of earlier data. The module knows neither the source nor the destination of the bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator, Iterable, Mapping
from contextlib import closing
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, NamedTuple

from django.conf import settings
from django.utils import timezone

from images import errors, expected_digests, signatures
from images.formats import Inspector, inspection
from images.models import READABLE_STATUSES, Image
from images.stores.digests import Digests, digesting
from images.transfers import quota

DATA_COLUMNS = (
    "size",
    "virtual_size",
    "checksum",
    "os_hash_algo",
    "os_hash_value",
    "digests",
    "verified_by",
    "verified_at",
    "source_digests",
    "pinned",
    "disk_format",
)


class SizeMismatch(errors.Invalid):
    """The error for data that does not have the size that the client or the data's source states."""

    code = "size-mismatch"


@dataclass(frozen=True)
class Criteria:
    """The columns of an image that the checks of its data depend on, such as its formats."""

    disk_format: str
    container_format: str
    hash_algorithm: str
    signature: Mapping[str, str]
    owner_digests: Mapping[str, str]

    @classmethod
    def of(cls, image: Image) -> Criteria:
        """Return the criteria that the image has now."""
        return cls(
            image.disk_format or "",
            image.container_format or "",
            hash_algorithm(image),
            signatures.described(image.properties),
            owner_digests(image),
        )


@dataclass(frozen=True)
class DataFacts:
    """The known facts of data: its size and, if the data was read, its digests and virtual size.

    ``criteria`` are the formats, the hash algorithm, the signature and the digests stated by
    the owner with which the data was compared; None for data that was not read. ``digests`` are
    all computed digests: algorithm -> hexadecimal. ``source_digests`` are digests of the data
    before plugins changed it. ``verified_by`` is the kind of statement with which the data, or
    its source, was compared, such as ``signature`` or ``owner``; empty if there was none.
    """

    size: int  # bytes
    checksum: str | None = None  # MD5, hexadecimal
    hash_value: str | None = None  # hexadecimal
    virtual_size: int | None = None  # bytes
    criteria: Criteria | None = None
    digests: Mapping[str, str] = field(default_factory=dict)
    verified_by: str = ""
    source_digests: Mapping[str, str] = field(default_factory=dict)


class SourceStatement(NamedTuple):
    """The digests (algorithm -> hexadecimal) that were stated of data before plugins changed it.

    ``by`` is the kind of statement, such as ``import`` or ``owner``; empty if there was none.
    """

    digests: Mapping[str, str] = MappingProxyType({})
    by: str = ""


NOTHING_STATED: Final = SourceStatement()


class CheckedData:
    """The blocks of an image's data, which are checked while they are read; iterate only once.

    The iteration ends only after the last check, so that a store never completes an object that
    is refused. ``facts`` is set when all checks have passed.
    """

    facts: DataFacts

    def __init__(
        self,
        image: Image,
        blocks: Iterable[bytes],
        *,
        expected: int | None = None,
        room: int | None = None,
        checksum: str | None = None,
        digests: Mapping[str, str] | None = None,
        stated_by: str = "repr-digest",
        source: SourceStatement = NOTHING_STATED,
    ) -> None:
        """Prepare the checks of data for an image.

        ``expected`` (bytes), ``checksum`` (MD5) and ``digests`` (algorithm -> hexadecimal) are
        claims about the data. ``stated_by`` says where the digests come from, such as ``import``.
        ``source`` has digests that another part of the import compares. ``stated_by`` or
        ``source.by`` becomes ``DataFacts.verified_by``. ``room`` is the number of bytes that the
        owner's quota leaves; None for no quota. Raises Invalid if the image lacks a format, its
        signature cannot be verified, or digests in its custom properties are malformed.
        """
        check_formats_set(image)
        self._image = image
        self._criteria = Criteria.of(image)
        self._signature = signatures.of(self._criteria.signature)
        self._checksum = checksum
        self._expected_digests, self._stated_by = digests or {}, stated_by
        self._source_stated = source
        self._owner_digests = expected_digests.of_owner(self._criteria.owner_digests)
        self._blocks = counted(image, blocks, expected, room)

    def __iter__(self) -> Generator[bytes, None, None]:
        """Yield the blocks, and check them; some checks follow the last block.

        Raises Invalid (another size or digest than expected), OverLimit (too large),
        ContentRefused (an unsafe format, or another one than the image's), Conflict (the image
        is pinned to other data), and the errors of the blocks.
        """
        formats = self._criteria.disk_format, self._criteria.container_format
        inspector = inspection(*formats, f"image {self._image.pk}")
        with Digests(*self._algorithms()) as digests:
            for block in digesting(self._blocks, digests):
                inspector.feed(block)
                yield block
            self.facts = self._conclude(digests, inspector)

    def read(self) -> DataFacts:
        """Read and check all blocks without keeping them; return the facts about the data.

        Raises the errors of the checks, as the iteration does.
        """
        with closing(iter(self)) as blocks:
            for _ in blocks:
                pass
        return self.facts

    def _algorithms(self) -> set[str]:
        algorithms = {"md5", self._criteria.hash_algorithm}
        algorithms |= {*self._expected_digests, *self._owner_digests}
        algorithms |= self._source_stated.digests.keys()
        return algorithms | ({self._signature.algorithm} if self._signature else set())

    def _conclude(self, digests: Digests, inspector: Inspector) -> DataFacts:
        hexdigests = digests.hexdigests()
        facts = DataFacts(
            digests.size,
            hexdigests["md5"],
            hexdigests[self._criteria.hash_algorithm],
            inspector.verdict(),
            self._criteria,
            hexdigests,
            self._verified_by(),
            self._source(hexdigests),
        )
        _check_claimed(facts, self._checksum)
        expected_digests.check(self._expected_digests, hexdigests)
        expected_digests.check(self._owner_digests, hexdigests)
        if self._signature:
            self._signature.check(hexdigests[self._signature.algorithm])
        check_same(self._image, facts)
        return facts

    def _verified_by(self) -> str:
        stated = {
            "signature": self._signature,
            self._stated_by: self._expected_digests,
            "owner": self._owner_digests,
            "checksum": self._checksum,
        }
        by = next((name for name, known in stated.items() if known), "")
        return by or (self._source_stated.by if self._source_stated.digests else "")

    def _source(self, digests: Mapping[str, str]) -> Mapping[str, str]:
        """Return the stated digests of the data as it was before import plugins changed it.

        Empty if they agree with ``digests``, the computed digests of the data: then no plugin
        has changed the data.
        """
        stated = self._source_stated.digests
        return {} if stated.items() <= digests.items() else stated


def check_empty(image: Image) -> None:
    """Raise Invalid if the signature, or a digest that the owner states, does not fit empty data."""
    signature = signatures.of(image.properties)
    if signature:
        signature.check(_digest_of_nothing(signature.algorithm))
    if settings.IMAGECATALOG_EXPECT_OWNER_DIGEST:
        expected = expected_digests.of_owner(image.properties)
        expected_digests.check(
            expected, {it: _digest_of_nothing(it) for it in expected}
        )


def _digest_of_nothing(algorithm: str) -> str:
    return hashlib.new(algorithm, usedforsecurity=False).hexdigest()


def hash_algorithm(image: Image) -> str:
    """Return the algorithm of the image's ``os_hash_value``; without one, the configured algorithm."""
    return image.os_hash_algo or settings.IMAGECATALOG_HASH_ALGORITHM


def owner_digests(image: Image) -> dict[str, str]:
    """Return the custom properties in which the image's owner states digests of its data.

    The dict is empty if these digests are not to be compared: IMAGECATALOG_EXPECT_OWNER_DIGEST
    is off, or the image has or had data, so that new data is compared with the earlier data.
    """
    is_first = not image.pinned and image.status not in READABLE_STATUSES
    if not (settings.IMAGECATALOG_EXPECT_OWNER_DIGEST and is_first):
        return {}
    return expected_digests.described(image.properties)


def check_ready(image: Image) -> None:
    """Raise Invalid unless the image can receive data.

    Both formats must be set. If custom properties have a signature, or digests that the owner
    states, these must be well-formed.
    """
    check_formats_set(image)
    signatures.of(image.properties)
    expected_digests.of_owner(owner_digests(image))


def check_formats_set(image: Image) -> None:
    """Raise Invalid unless the image has a disk format and a container format.

    An image needs both before it receives data.
    """
    unset = [
        name for name in ("disk_format", "container_format") if not getattr(image, name)
    ]
    if unset:
        raise errors.Invalid(
            f"Properties {', '.join(unset)} must be set prior to saving data."
        )


def check_size_cap(size: int | None) -> None:
    """Raise OverLimit if ``size`` (bytes) exceeds IMAGECATALOG_IMAGE_SIZE_CAP."""
    cap = settings.IMAGECATALOG_IMAGE_SIZE_CAP
    if size is not None and size > cap:
        raise errors.OverLimit(f"Image exceeds the maximum size of {cap} bytes.")


def check_pinned_size(image: Image, size: int | None) -> None:
    """Raise Conflict if the image is pinned to data of another size than ``size`` (bytes).

    None stands for an unknown size, which is accepted.
    """
    if image.pinned and size is not None and image.size not in (None, size):
        raise errors.Conflict(
            f"Image {image.pk} has had data of {image.size} bytes and accepts only the same "
            "bytes again. Send them, or create a new image."
        )


def check_same(image: Image, facts: DataFacts) -> None:
    """Raise Conflict if the image has or had data, and the new data has another size or digest.

    An image that has data, or is pinned because it had data, accepts only the same data again.
    """
    if not (image.pinned or image.status in READABLE_STATUSES):
        return
    values = {
        "size": facts.size,
        "checksum": facts.checksum,
        "os_hash_value": facts.hash_value,
    }
    for name, value in values.items():
        if getattr(image, name) not in (None, value):
            raise errors.Conflict(
                f"Image {image.pk} has had other data: the {name} of this data differs. "
                "Send the same bytes again, or create a new image."
            )


def set_facts(image: Image, facts: DataFacts) -> None:
    """Set the image's columns that describe its data, such as size and digests, without saving.

    The disk format is set, too, because an import can convert the data to another format.
    """
    image.size = facts.size
    if facts.hash_value:
        image.os_hash_algo = hash_algorithm(image)
        image.checksum = facts.checksum
        image.os_hash_value = facts.hash_value
    image.digests = {**image.digests, **facts.digests}
    if facts.source_digests:
        image.source_digests = dict(facts.source_digests)
    if facts.verified_by:
        image.verified_by, image.verified_at = facts.verified_by, timezone.now()
    if facts.criteria:
        image.virtual_size = facts.virtual_size
        image.disk_format = facts.criteria.disk_format


def counted(
    image: Image,
    blocks: Iterable[bytes],
    expected: int | None,
    room: int | None = None,
) -> Generator[bytes, None, None]:
    """Yield the blocks, whose total size must be ``expected`` and at most ``room`` (both in bytes).

    None for ``expected`` stands for an unknown size, None for ``room`` for no limit. Raises
    SizeMismatch for another size, and OverLimit if the size exceeds ``room`` or
    IMAGECATALOG_IMAGE_SIZE_CAP.
    """
    size = 0
    for block in blocks:
        size += len(block)
        if expected is not None and size > expected:
            raise SizeMismatch(f"Size exceeds: expected {expected} bytes.")
        check_size_cap(size)
        if room is not None and size > room:
            raise quota.exceeded(image, size)
        yield block
    if expected is not None and size < expected:
        raise SizeMismatch(
            f"Size mismatch: expected {expected} bytes, got {size} bytes."
        )


def _check_claimed(facts: DataFacts, checksum: str | None) -> None:
    if checksum and checksum.lower() != facts.checksum:
        raise expected_digests.DigestMismatch(
            f"Supplied checksum ({checksum}) and checksum generated from uploaded image "
            f"({facts.checksum}) did not match."
        )
