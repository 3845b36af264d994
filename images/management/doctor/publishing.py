"""Checks of publishing: whether the key can sign, and which versions cannot be published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from images.management.doctor.result import FAIL, Result, ok, warn
from images.publishing import SigningError, preparation, signing
from images.units import counted


def key() -> Iterator[Result]:
    """Yield one result: whether the publishing key can sign. Without a key, yield no result."""
    folder = settings.IMAGECATALOG_PUBLISH_KEY
    if not folder or settings.IMAGECATALOG_PUBLISH == "off":
        return
    try:
        with signing.opened(Path(folder)) as signer:
            signer.detached(b"a trial")
            text = f"{signer.fingerprint} ({signer.key.user}) can sign"
            yield ok("publish-key", text)
    except SigningError as error:
        yield Result("publish-key", FAIL, str(error))  # says what to do


def versions() -> Iterator[Result]:
    """Yield one result: whether versions cannot be published. Yield none if publishing is off."""
    if settings.IMAGECATALOG_PUBLISH == "off":
        return
    failing = preparation.failing()
    if not failing:
        yield ok("publishing", "no version waits because of an error")
        return
    first = failing[0]
    yield warn(
        "publishing",
        f"{counted(len(failing), 'version')} of published families cannot be published, such as "
        f"{first.version.label} of {first.version.family.name}: {first.error}",
        "The background worker tries them again. Mend the cause, or withdraw them.",
    )
