"""Prepare versions for publication: compute digests, and build the archive for Incus and LXD.

A version is published only when it is prepared. Its missing digests are computed as if a client had
asked for them. Incus and LXD identify an image by the digest of the archive followed by the data,
for which the data of a qcow2 image is read once more.
"""

from __future__ import annotations

import hashlib
import logging
import math
import time
from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta
from itertools import chain
from typing import Final, cast

from django.conf import settings
from django.db.models import Q
from django.utils import timezone

from images import errors, lifecycle
from images.formats.compressed import compression_of
from images.models import FamilyVersion, Image, PreparedVersion
from images.models.publication import note_change, tree_of
from images.operations import consistency, known_digests, wanted_digests
from images.publishing import metadata_archive, snapshots
from images.stores import Blocks
from images.transfers import backoff, heartbeat

log = logging.getLogger(__name__)

ROUND: Final = 100  # versions
RETRY: Final = timedelta(seconds=1)  # before a version is tried again, at first
TRIES: Final = 8  # before this delay is doubled
NEEDED: Final = frozenset({"md5", "sha256", "sha512"})
EXTENSIONS: Final = {"gzip": "gz", "bzip2": "bz2", "xz": "xz", "zstd": "zst"}


class NotReady(Exception):
    """The error for a version that cannot be prepared yet; the message says why."""


def prepare_due() -> None:
    """Prepare the versions of published families that are not prepared yet, newest first."""
    waiting = FamilyVersion.objects.filter(
        Q(prepared=None)
        | Q(prepared__ready_at=None, prepared__next_at__lte=timezone.now())
    )
    wanted = snapshots.listed(FamilyVersion.objects.all()).values("pk")
    due = waiting.filter(pk__in=wanted).select_related("family", "image")
    for version in list(due.order_by("-build_date", "-pk")[:ROUND]):
        claim = _claim(version)
        if claim is not None:
            _attempt(version, claim)


def failing() -> list[PreparedVersion]:
    """Return the versions that could not be prepared in many attempts, each with its family.

    The column ``error`` says why. At most a hundred, oldest first.
    """
    wanted = snapshots.listed(FamilyVersion.objects.all()).values("pk")
    rows = PreparedVersion.objects.filter(
        ready_at=None, attempts__gte=TRIES, version__in=wanted
    )
    return list(rows.select_related("version__family").order_by("pk")[:ROUND])


def _claim(version: FamilyVersion) -> PreparedVersion | None:
    """Claim a version for this worker; return None if it is claimed, prepared or not due yet."""
    row, _ = PreparedVersion.objects.get_or_create(version=version)
    until = heartbeat.lease_end()
    free = PreparedVersion.objects.filter(
        pk=row.pk, ready_at=None, next_at__lte=timezone.now()
    )
    if not free.update(next_at=until):
        return None
    row.next_at = until
    return row


def _attempt(version: FamilyVersion, row: PreparedVersion) -> None:
    try:
        _prepare(version, row)
    except NotReady as reason:
        _postpone(row, str(reason))
    except (errors.StoreError, errors.Invalid) as error:
        log.warning(
            "image %s cannot be published yet", version.image_id, exc_info=error
        )
        _postpone(row, str(error))


def _prepare(version: FamilyVersion, row: PreparedVersion) -> None:
    """Prepare a version, and save the result. Raises NotReady, and the errors of stores."""
    family, image = version.family, version.image
    known = known_digests.of_model(image)
    if NEEDED - known.keys():
        wanted_digests.ask(image.pk)
        raise NotReady("Its digests are being computed.")
    archive = metadata_archive.build(
        family=family.name,
        title=family.title,
        label=version.label,
        architecture=family.architecture,
        build_date=version.build_date,
        properties=snapshots.public(image.properties, tree_of(family)),
    )
    combined = ""
    if image.disk_format == "qcow2" and image.container_format == "bare":
        combined = _combined(image, row, archive, known["sha256"])
    done = PreparedVersion.objects.filter(pk=row.pk, next_at=row.next_at).update(
        extension=_extension(image),
        archive=archive,
        combined_sha256=combined,
        ready_at=timezone.now(),
        error="",
    )
    if done:
        note_change(family)


def _combined(image: Image, row: PreparedVersion, archive: bytes, expected: str) -> str:
    """Return the SHA-256 digest of the archive followed by an image's data; the data is read once.

    Raises NotReady if the data does not have the digest ``expected``.
    """
    combined, data = hashlib.sha256(archive), hashlib.sha256()
    rate = settings.IMAGECATALOG_VERIFY_RATE or math.inf
    with closing(_data(image)) as blocks:
        for block in _kept_alive(row, consistency.rate_limited(blocks, rate)):
            combined.update(block)
            data.update(block)
    if data.hexdigest() != expected:
        raise NotReady(
            f"Its data has another digest than the image. Run `image_verify {image.pk}`."
        )
    return combined.hexdigest()


def _kept_alive(row: PreparedVersion, blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield blocks, and extend the claim of a version meanwhile. Raises NotReady if it is lost."""
    due = time.monotonic() + heartbeat.interval()
    for block in blocks:
        yield block
        if time.monotonic() < due:
            continue
        until = heartbeat.lease_end()
        own = PreparedVersion.objects.filter(pk=row.pk, next_at=row.next_at)
        if not own.update(next_at=until):
            raise NotReady("Another worker prepares it.")
        row.next_at, due = until, time.monotonic() + heartbeat.interval()


def _postpone(row: PreparedVersion, reason: str) -> None:
    PreparedVersion.objects.filter(pk=row.pk, next_at=row.next_at).update(
        next_at=timezone.now() + backoff.delay(RETRY, row.attempts // TRIES),
        attempts=row.attempts + 1,
        error=reason,
    )


def _extension(image: Image) -> str:
    """Return the extension of the name of an image's file, such as ``qcow2`` or ``raw.gz``."""
    if image.container_format == "ova":
        return "ova"
    extension = image.disk_format or "img"
    if extension == "raw":
        extension = settings.IMAGECATALOG_PUBLISH_RAW_EXTENSION
    if image.container_format != "compressed":
        return extension
    with closing(_data(image)) as blocks:
        compression = compression_of(next(chain(blocks, [b""])))
    return f"{extension}.{EXTENSIONS.get(compression or '', 'compressed')}"


def _data(image: Image) -> Blocks:
    return cast(Blocks, lifecycle.read(image.pk, 0, image.size))
