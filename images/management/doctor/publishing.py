"""The check of the key that signs what is published."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from django.conf import settings

from images.management.doctor.result import FAIL, Result, ok
from images.publishing import SigningError, signing


def key() -> Iterator[Result]:
    """Yield whether something can be signed with the key; nothing if nothing is to be signed."""
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
