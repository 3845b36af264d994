"""The known digests of an image's data, and a query for images whose data has a given digest."""

from __future__ import annotations

from typing import Any

from django.db.models import F, Q
from django.db.models.lookups import Exact

from images import errors, expected_digests
from images.models import Image, ImageLocation, LocationStatus
from images.models.known_digest import KnownDigest
from images.models.rows import Row


def of(image: Row) -> dict[str, str]:
    """Return the known digests of an image's data: algorithm -> hexadecimal. One query."""
    digests = Image.objects.filter(pk=image["id"]).values_list("digests", flat=True)
    return _with_columns(image, digests.first() or {})


def of_model(image: Image) -> dict[str, str]:
    """Return the known digests of an image's data: algorithm -> hexadecimal. No query."""
    names = ("checksum", "os_hash_algo", "os_hash_value")
    columns = {name: getattr(image, name) for name in names}
    return _with_columns(columns, image.digests)


def report(image: Row) -> dict[str, Any]:
    """Return the known facts of an image's data: digests, verifications, stores of damaged copies.

    ``source_digests`` are digests that were stated for the data before plugins changed it.
    ``stored_verified_at`` is when the copy was verified whose verification is oldest; None if a
    copy was never verified. Times are datetimes. Makes three queries.
    """
    columns = ("digests", "source_digests", "verified_by", "verified_at")
    row = Image.objects.filter(pk=image["id"]).values(*columns).first() or {}
    copies = ImageLocation.objects.filter(
        image=image["id"], status=LocationStatus.ACTIVE
    )
    # A copy that was never verified comes first.
    times = copies.order_by(F("verified_at").asc(nulls_first=True))
    damaged = copies.exclude(damage="").order_by("pk")
    return {
        "digests": _with_columns(image, row.get("digests", {})),
        "source_digests": row.get("source_digests", {}),
        "verified_by": row.get("verified_by") or None,
        "verified_at": row.get("verified_at"),
        "stored_verified_at": times.values_list("verified_at", flat=True).first(),
        "damaged": list(damaged.values_list("store", flat=True)),
    }


def having(algorithm: str, digest: str) -> Q:
    """Return the query condition for images whose data has the given digest (hexadecimal).

    Raises Invalid for a malformed digest or an unknown algorithm.
    """
    digest = digest.lower()
    if not expected_digests.is_digest(algorithm, digest):
        raise errors.Invalid(
            "This is not a digest. State it like sha256:HEX, with 64 hexadecimal digits."
        )
    if algorithm == "md5":
        return Q(checksum=digest)
    of_image = Q(os_hash_algo=algorithm, os_hash_value=digest)
    return _any(_computed(algorithm, digest), of_image)


def having_text(text: str) -> Q | None:
    """Return the query condition for images whose data has the digest ``text``, in any algorithm.

    None if the text does not look like a digest. Also finds an image's ``os_hash_value`` in an
    algorithm that this service does not compute.
    """
    digest = text.lower()
    for algorithm in expected_digests.HEX_DIGITS:
        if expected_digests.is_digest(algorithm, digest):
            return _any(_computed(algorithm, digest), Q(os_hash_value=digest))
    return None


def _computed(algorithm: str, digest: str) -> Q:
    if algorithm == "md5":
        return Q(checksum=digest)
    return Q(Exact(KnownDigest(algorithm), digest), checksum__isnull=False)


def _any(first: Q, second: Q) -> Q:
    # Not OR: PostgreSQL, which has no statistics of the digests, would read all images of a list
    # in its order instead of those in the two indexes.
    found = (Image.objects.filter(it).order_by().values("pk") for it in (first, second))
    return Q(pk__in=next(found).union(next(found)))


def _with_columns(image: Row, digests: dict[str, str]) -> dict[str, str]:
    """Return ``digests``, and the digests in the image's columns checksum and os_hash_value.

    An earlier release stored digests only in these columns. The result is sorted by algorithm,
    because the order in the database is different in each process.
    """
    columns = {
        "md5": image["checksum"],
        image["os_hash_algo"]: image["os_hash_value"],
    }
    known = {name: value for name, value in columns.items() if name and value}
    return dict(sorted({**digests, **known}.items()))
