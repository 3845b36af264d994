"""What an audit has found wrong, put right: each verb makes sure first that it still is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterable

from django.utils import timezone

from images import errors, stores
from images.access import Caller
from images.events import record
from images.lifecycle.deletion import withdraw
from images.models import (
    READABLE_STATUSES,
    TRANSIENT_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    TransferStatus,
    UploadChunk,
)
from images.stores.writeback import PART
from images.transitions import follow, locked

# As leases.key_of makes them: "ab/<image>.<attempt>".
OURS = re.compile(rf"[^/]+/(?P<image>[^/]+)\.[0-9a-f]{{32}}(?:{re.escape(PART)})?")


def owned(keys: Iterable[str]) -> set[str]:
    """Those that belong to a location, an attempt or a chunk of one, of whichever store.

    The store is not looked at: keys are never used twice, and a store that got a new id
    must not lose everything. Ask only about keys that were seen in a store before.
    """
    base = {key: key.removesuffix(PART) for key in keys}
    names = set(base.values())
    attempts = Transfer.objects.with_bytes().filter(key__in=names)
    chunks = UploadChunk.objects.filter(key__in=names)
    held = ImageLocation.objects.filter(key__in=names).exclude(
        status=LocationStatus.DELETED
    )
    # In this order: an attempt that wins in between has a location by the second question.
    owners = set(attempts.values_list("key", flat=True))
    owners |= set(held.values_list("key", flat=True))
    owners |= set(chunks.values_list("key", flat=True))
    return {key for key, name in base.items() if name in owners}


def maker(key: str) -> str:
    """The id of the image for which this catalogue made the key; empty: it did not."""
    name = OURS.fullmatch(key)
    if name is None or not Image.objects.filter(pk=name["image"]).exists():
        return ""
    return name["image"]


def remove_orphan(store_id: str, key: str, *, foreign: bool = False) -> None:
    """Delete an object that belongs to nothing.

    Ids stay in the catalogue for ever. So an object of an unknown image is from another
    catalogue, or younger than a database that was restored from a backup: it is deleted only
    as ``foreign``. Raises Conflict when it is owned or foreign, StoreError, Invalid.
    """
    store = stores.get(store_id)
    if not foreign and not maker(key):
        raise errors.Conflict(
            "This catalogue has no such image: the object may be another catalogue's, or "
            "newer than a restored database. Remove it as foreign "
            "(image_reconcile --foreign) if that is certain."
        )
    if owned([key]):
        raise errors.Conflict(
            "The object belongs to an image or to a running transfer."
        )
    store.delete(key, abandoned=True)


def lose_location(
    location_id: int, actor: Caller, reason: str = "", *, empty_store: bool = False
) -> None:
    """Give up a copy whose bytes are gone.

    With the last one an active image is queued and pinned: only the same bytes make it
    active again. Where no digest of them is known, the last copy stays, or others could come
    in their place. The last copy of a deactivated image stays as it is, for there is no such
    edge, and so do those of a deleted one, which it needs for nothing but a restore. A store
    with nothing in it is rather not mounted; ``empty_store`` says that it is.

    Raises Conflict when there is nothing to give up, StoreError.
    """
    location = ImageLocation.objects.filter(pk=location_id).first()
    if location is None:
        raise errors.Conflict("This location does not exist any more.")
    _check_gone(location, empty_store)
    with locked(location.image_id, deleted=True) as image:
        held = list(image.locations.filter(status=LocationStatus.ACTIVE))
        lost = next((one for one in held if one.pk == location_id), None)
        if lost is None or image.status not in READABLE_STATUSES:
            raise errors.Conflict(
                f"Not a copy that an image in status '{image.status}' gives out: put the "
                "bytes back, or scrub the image."
            )
        _lose(image, lost, len(held) == 1, actor, reason)


def _check_gone(location: ImageLocation, empty_store: bool) -> None:
    store = stores.get(location.store)
    try:
        store.size(location.key)
    except errors.DataMissing:
        pass
    else:
        raise errors.Conflict("The bytes are there.")
    if empty_store or store.read_only:  # of what is not ours nothing is ever listed
        return
    if next(iter(store.keys()), None) is None:
        raise errors.StoreError(
            "The store has nothing in it at all. Is the folder mounted, is it the right "
            "bucket? If so, say that the store is empty."
        )


def _lose(
    image: Image, lost: ImageLocation, last: bool, actor: Caller, reason: str
) -> None:
    if last and image.status == Status.DEACTIVATED:
        raise errors.Conflict(
            "It is the last copy of a deactivated image. Put the bytes back, or reactivate "
            "the image and repair it again, or delete it."
        )
    if last and image.size and not image.os_hash_value:
        raise errors.Conflict(
            "It is the last copy, and no digest of its bytes is known to tell others from "
            "them. Put the bytes back, or delete the image."
        )
    withdraw(lost, timezone.now())
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
    """Bring an image back that waits for data although nobody brings any: it is queued again.

    Raises Conflict when a transfer is running or the status is not a transient one, NotFound.
    """
    with locked(image_id) as image:
        running = image.transfers.filter(status=TransferStatus.RUNNING)
        if image.status not in TRANSIENT_STATUSES or running.exists():
            raise errors.Conflict(f"The image is {image.status}, and not stuck.")
        follow(image, image.mark_requeued, "fail", actor, reason=reason)


def note_verified(location_id: int, damage: str, actor: Caller) -> None:
    """Note that a copy's bytes were read just now, and what was wrong; nothing: empty."""
    location = ImageLocation.objects.filter(pk=location_id).first()
    if location is None:
        return
    with locked(location.image_id, deleted=True) as image:
        row = image.locations.get(pk=location_id)
        if damage != row.damage:
            detail = {"location": row.pk, "store": row.store, "damage": damage}
            record(image, "verify", actor, before=image.status, detail=detail)
        row.verified_at, row.damage = timezone.now(), damage
        row.save(update_fields=["verified_at", "damage"])
