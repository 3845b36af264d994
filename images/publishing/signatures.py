"""Sign published trees in the background, never during a request.

Until the checksum files of a family are signed, clients get the family as it was before.
"""

from __future__ import annotations

import logging
from base64 import b64encode
from datetime import UTC, datetime
from pathlib import Path

from django.conf import settings
from django.db import transaction

from images.models import Publication, PublishedTree
from images.publishing import SigningError, renewal, signing, storage, tree
from images.publishing.signing import Signer

log = logging.getLogger(__name__)

_problem = ""  # why the last attempt failed

KEY, KEYRING = "key.asc", "key.gpg"  # paths in a tree: for gpg --import, and for gpgv


def sign(project: str) -> None:
    """Sign the families and indexes of a tree that have changed since the last signature.

    Changes that happen meanwhile are left to the next call. If the key cannot be used, the reason
    is logged, and clients continue to get what was signed before.
    """
    row = PublishedTree.objects.get(pk=project)
    waiting = Publication.objects.filter(tree=project).exclude(unsigned=b"")
    if row.key and row.signed_revision == row.revision and not waiting.exists():
        return
    try:
        with signing.opened(Path(settings.IMAGECATALOG_PUBLISH_KEY)) as signer:
            _sign(project, signer)
    except SigningError as error:
        _log_once(str(error))
    else:
        _log_once("")


def _log_once(problem: str) -> None:
    """Log why nothing can be signed, unless the last attempt has logged the same reason."""
    global _problem
    if problem and problem != _problem:
        log.error(
            "nothing new is published, because nothing can be signed: %s", problem
        )
    _problem = problem


def _sign(project: str, signer: Signer) -> None:
    row = PublishedTree.objects.get(pk=project)
    is_other_key = row.key != signer.fingerprint
    published = Publication.objects.filter(tree=project)
    if not is_other_key:
        published = published.exclude(unsigned=b"")
    for publication in list(published):
        _sign_family(publication, signer, anew=is_other_key)
    with transaction.atomic():
        row = PublishedTree.objects.select_for_update().get(pk=project)
        row.key = signer.fingerprint
        row.revision += 1
        renewal.write_indexes(row)
        row.save(update_fields=["key", "revision"])
        now = datetime.now(UTC).replace(microsecond=0)
        unsigned = renewal.indexes(row, now, signed=True)
    signed = {path: signer.clearsigned(text) for path, text in unsigned.items()}
    signed |= {KEY: signer.public_key, KEYRING: signer.keyring}
    with transaction.atomic():
        locked = PublishedTree.objects.select_for_update().get(pk=project)
        if locked.signed_revision >= row.revision:
            return  # another worker has signed a newer state
        for path, content in signed.items():
            renewal.write_index(project, path, content, now)
        PublishedTree.objects.filter(pk=project).update(signed_revision=row.revision)


def _sign_family(publication: Publication, signer: Signer, *, anew: bool) -> None:
    """Sign the checksum files of a family, and then publish the family as it is now.

    With ``anew``, files that have a signature are signed again, too.
    """
    unsigned = bytes(publication.unsigned or publication.snapshot)
    family = storage.load(unsigned)
    made = {} if anew else publication.signatures
    texts = {tree.key_of(text): text for text in tree.signable(family)}
    signed = {
        key: made.get(key)
        or [
            b64encode(signer.detached(text)).decode(),
            signer.clearsigned(text).decode(),
        ]
        for key, text in texts.items()
    }
    with transaction.atomic():
        PublishedTree.objects.select_for_update().get(pk=publication.tree)
        row = Publication.objects.filter(pk=publication.pk).first()
        if row is None:
            return
        now = bytes(row.unsigned or row.snapshot)
        if now == unsigned:
            row.signatures, row.unsigned = signed, b""
            renewal.serve(row, family)
        elif row.unsigned:
            # A family that changes all the time gets on, too: what is signed is served, and the
            # next job signs what has changed meanwhile.
            row.signatures = {**row.signatures, **signed}
            renewal.serve(row, renewal.still_published(family, storage.load(now)))
