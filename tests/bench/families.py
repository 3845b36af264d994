"""Published families in a catalogue of tests.bench.catalogue: as many as it needs for a large tree."""

from __future__ import annotations

from datetime import date, timedelta
from hashlib import sha256

from django.utils import timezone

from images.models import Family, FamilyScope, FamilyVersion, Image
from images.models.publication import PreparedVersion, note_change
from images.publishing import renewal
from tests.bench.catalogue import image_id

FAMILIES, VERSIONS = 100, 10
OWNER = "bench"


def publish() -> None:
    """Make 100 public families with 10 versions each, of public images; nothing if there are any."""
    if Family.objects.exists():
        return
    for number in range(FAMILIES):
        _publish(number)
    renewal.renew("", whole=True)


def renew_one() -> None:
    """Renew the public tree after a change of one of its families."""
    family = Family.objects.get(name="family-7")
    note_change(family)
    renewal.renew("")


def _publish(number: int) -> None:
    family = Family.objects.create(
        name=f"family-{number}",
        owner=OWNER,
        scope=FamilyScope.PUBLIC,
        architecture="x86_64",
        publish=True,
    )
    for place in range(VERSIONS):
        # Each hundredth image is public.
        image = Image.objects.get(pk=image_id((number * VERSIONS + place) * 100 + 3))
        image.digests = {"sha256": sha256(image.pk.encode()).hexdigest()}
        image.save(update_fields=["digests"])
        built = date(2025, 1, 1) + timedelta(days=place)
        version = FamilyVersion.objects.create(
            family=family,
            image=image,
            label=f"{built:%Y%m%d}",
            label_key=f"{built:%Y%m%d}".encode(),
            build_date=built,
            promoted_at=timezone.now(),
        )
        PreparedVersion.objects.create(
            version=version, extension="raw", ready_at=timezone.now()
        )
    family.current = family.versions.newest_first().first()
    family.save(update_fields=["current"])
