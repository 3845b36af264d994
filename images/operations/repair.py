"""Repairs of faults that a consistency check has found; each verifies first that the fault exists."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.utils import timezone

from images import errors, stores
from images.access import Caller
from images.events import record
from images.lifecycle import late_digests
from images.lifecycle.checked_data import DataFacts
from images.lifecycle.deletion import remove_location_row
from images.models import (
    READABLE_STATUSES,
    TRANSIENT_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    TransferTarget,
    UploadChunk,
)
from images.stores.writeback import PART
from images.transitions import follow, locked

# Keys as transfers.keys.key_of makes them: "ab/<image>.<transfer or chunk>".
OURS = re.compile(rf"[^/]+/(?P<image>[^/]+)\.[0-9a-f]{{32}}(?:{re.escape(PART)})?")


def owned_keys(keys: Iterable[str]) -> set[str]:
    """Return the keys that belong to a location, a transfer or an upload chunk, in any store.

    The store is ignored: keys are never reused, and a store with a changed id must not lose all
    its objects. Call this only with keys that were listed in a store before.
    """
    base = {key: key.removesuffix(PART) for key in keys}
    names = set(base.values())
    attempts = Transfer.objects.with_bytes().filter(key__in=names)
    targets = TransferTarget.objects.with_bytes().filter(key__in=names)
    chunks = UploadChunk.objects.filter(key__in=names)
    locations = ImageLocation.objects.filter(key__in=names).exclude(
        status=LocationStatus.DELETED
    )
    # The order matters: a transfer that succeeds in between has a location in the second query.
    owners = set(attempts.values_list("key", flat=True))
    owners |= set(targets.values_list("key", flat=True))
    owners |= set(locations.values_list("key", flat=True))
    owners |= set(chunks.values_list("key", flat=True))
    return {key for key, name in base.items() if name in owners}


def image_id_of_key(key: str) -> str:
    """Return the id of the image for which this catalogue made the key; empty if there is none."""
    name = OURS.fullmatch(key)
    if name is None or not Image.objects.filter(pk=name["image"]).exists():
        return ""
    return name["image"]


def remove_orphan(store_id: str, key: str, *, foreign: bool = False) -> None:
    """Delete a stored object that belongs to no image.

    Ids stay in the catalogue permanently. So the object of an unknown image is from another
    catalogue, or newer than a database restored from a backup: it is deleted only with
    ``foreign``. Raises Invalid for an unknown store, StoreError if the store fails, Conflict
    when the object belongs to an image or a transfer, or when it needs ``foreign``.
    """
    store = stores.get(store_id)
    if not foreign and not image_id_of_key(key):
        raise errors.Conflict(
            "This catalogue has no such image: the object may belong to another catalogue, or be "
            "newer than a restored database. Remove it as foreign "
            "(image_reconcile --foreign) if no catalogue needs it."
        )
    if owned_keys([key]):
        raise errors.Conflict(
            "The object belongs to an image or to a running transfer."
        )
    store.delete(key, abandoned=True)


def remove_missing_location(
    location_id: int, actor: Caller, reason: str = "", *, empty_store: bool = False
) -> None:
    """Remove a location whose bytes are missing.

    Without its last location an active image is queued and pinned: only the same bytes make
    it active again. The last location stays if no digest is known, because different bytes
    could then be uploaded. It also stays for a deactivated image, which has no transition to
    queued, and all locations of a deleted image stay, because they are needed only for a
    restore. An empty store is probably not mounted; ``empty_store`` says that it is mounted
    and empty.

    Raises StoreError when the store fails or seems not to be mounted, Conflict when the
    location must stay or its bytes exist.
    """
    location = ImageLocation.objects.filter(pk=location_id).first()
    if location is None:
        raise errors.Conflict("The location no longer exists.")
    _check_missing(location, empty_store)
    with locked(location.image_id, deleted=True) as image:
        locations = list(image.locations.filter(status=LocationStatus.ACTIVE))
        lost = next((row for row in locations if row.pk == location_id), None)
        if lost is None or image.status not in READABLE_STATUSES:
            raise errors.Conflict(
                f"The copy cannot be downloaded from an image in status '{image.status}'. Put the "
                "bytes back, or scrub the image."
            )
        _lose(image, lost, len(locations) == 1, actor, reason)


def _check_missing(location: ImageLocation, empty_store: bool) -> None:
    store = stores.get(location.store)
    if empty_store:
        store.check_mounted(in_use=lambda: False)
    try:
        store.size(location.key)
    except errors.DataMissing:
        pass
    else:
        raise errors.Conflict("The store has the bytes of this location.")
    if empty_store or store.read_only:  # read-only stores are not listed
        return
    if next(iter(store.keys()), None) is None:
        raise errors.StoreError(
            "The store is empty. Check that the folder is mounted, or that the bucket is the "
            "right one. If so, say that the store is empty (image_reconcile --empty-store)."
        )


def _lose(
    image: Image, lost: ImageLocation, last: bool, actor: Caller, reason: str
) -> None:
    if last and image.status == Status.DEACTIVATED:
        raise errors.Conflict(
            "This is the last copy of a deactivated image. Put the bytes back, or reactivate "
            "the image and repair it again, or delete it."
        )
    if last and image.size and not image.os_hash_value:
        raise errors.Conflict(
            "This is the last copy, and without a digest other bytes could replace it. "
            "Put the bytes back, or delete the image."
        )
    remove_location_row(lost, timezone.now())
    detail = {"location": lost.pk, "store": lost.store}
    if not last:
        before = image.status
        record(image, "lose", actor, before=before, reason=reason, detail=detail)
        return
    image.pinned = True
    follow(
        image,
        image.mark_unlocated,
        "lose",
        actor,
        also=["pinned"],
        reason=reason,
        detail=detail,
    )


def unstick(image_id: str, actor: Caller, reason: str = "") -> None:
    """Queue an image again that is saving, uploading or importing without a transfer.

    Raises NotFound, and Conflict when a transfer owns the status or the image has another
    status.
    """
    with locked(image_id) as image:
        owning = Transfer.objects.owning().filter(image=image)
        if image.status not in TRANSIENT_STATUSES or owning.exists():
            raise errors.Conflict(f"The image is {image.status} and not stuck.")
        follow(image, image.mark_requeued, "fail", actor, reason=reason)


def note_verified(location_id: int, damage: str, actor: Caller) -> None:
    """Save that a copy of an image was read now, and its ``damage`` (empty: the copy is intact).

    A result that differs from the last one is recorded in the history. Does nothing if the
    location does not exist.
    """
    location = ImageLocation.objects.filter(pk=location_id).first()
    if location is None:
        return
    with locked(location.image_id, deleted=True) as image:
        row = image.locations.get(pk=location_id)
        if damage != row.damage:
            detail = {"location": row.pk, "store": row.store, "damage": damage}
            record(image, "verify", actor, before=image.status, detail=detail)
        row.verified_at, row.damage = timezone.now(), damage
        row.verify_after = None
        row.save(update_fields=["verified_at", "damage", "verify_after"])


def note_digests(location_id: int, facts: DataFacts, actor: Caller) -> bool:
    """Save the digests of an image that has none, and record an event.

    ``facts`` are the size and digests that were computed by reading its only copy. Returns True
    if they are saved, and False, without a change, if the image has changed since then.
    """
    location = ImageLocation.objects.get(pk=location_id)
    with locked(location.image_id, deleted=True) as image:
        return late_digests.note(image, location_id, facts, actor)
