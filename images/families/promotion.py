"""Promote a version of a family, and go back to an earlier one: both in one transaction."""

from __future__ import annotations

from collections.abc import Collection

from django.utils import timezone

from images import errors
from images.access import Caller
from images.families.changes import (
    Outcome,
    apply_version,
    changes_of_current,
    changes_of_old,
    get_version,
    lock_images,
    locked,
    record,
    save,
)
from images.models import Family, FamilyVersion, Image, Status


def promote(
    caller: Caller,
    ref: str,
    label: str,
    reason: str = "",
    *,
    expected: Collection[int] | None = None,
) -> Outcome:
    """Make a version the current one of its family; do nothing if it is current already.

    ``label`` is the label of the version. If ``expected`` is not None, ``family.version`` (its
    ETag) must be in it. Raises NotFound, Forbidden, Changed, and Conflict if the version is
    withdrawn, if its image is not active, or if the family requires verified images and this one is
    not verified.
    """
    with locked(caller, ref, "promote_family", expected=expected) as family:
        version = get_version(family, label)
        return make_current(family, version, caller, "promote", reason)


def rollback(
    caller: Caller,
    ref: str,
    reason: str = "",
    *,
    withdraw: bool = False,
    expected: Collection[int] | None = None,
) -> Outcome:
    """Make the version current again that was current before the present one.

    Versions that cannot be promoted are skipped. With ``withdraw``, the present version is
    withdrawn: no rollback chooses it later. If ``expected`` is not None, ``family.version`` (its
    ETag) must be in it. Raises NotFound, Forbidden, Changed, and Conflict if there is no earlier
    version.
    """
    with locked(caller, ref, "promote_family", expected=expected) as family:
        before = family.current
        target = _earlier(family)
        if target is None:
            raise errors.Conflict(
                f"Family {family.name} has no other version that was current, is active and "
                "not withdrawn. Promote a version instead."
            )
        outcome = make_current(family, target, caller, "rollback", reason)
        if withdraw and before:
            before.withdrawn = True
            before.save(update_fields=["withdrawn"])
            record(family, "withdraw", caller, reason, after=before)
        return outcome


def make_current(
    family: Family, version: FamilyVersion, caller: Caller, verb: str, reason: str
) -> Outcome:
    """Make a version of a locked family the current one; ``verb`` names the change in its history.

    Locks the images of this version and of the one that is current now, in the order of their
    ids. Raises Conflict if the version cannot be promoted.
    """
    if family.current_id == version.pk:
        return Outcome(family, version, [])
    before = family.current
    images = lock_images([before, version], caller)
    _check(family, version, images.get(version.image_id))
    family.current, version.promoted_at = version, timezone.now()
    changed = []
    if before and (old := images.get(before.image_id)):
        more = changes_of_old(family, old)
        changed += apply_version(family, before, old, caller, reason, more)
    image = images[version.image_id]
    more = changes_of_current(family, image)
    changed += apply_version(family, version, image, caller, reason, more)
    version.save(update_fields=["promoted_at"])
    save(family, "current")
    record(family, verb, caller, reason, before=before, after=version)
    return Outcome(family, version, changed)


def _earlier(family: Family) -> FamilyVersion | None:
    """Return the version that a rollback makes current; None if there is none.

    It is the last one that was promoted, other than the current one. A version is skipped if it is
    withdrawn, or if its image is not active or, where the family requires it, not verified.
    """
    earlier = family.versions.filter(
        promoted_at__isnull=False, withdrawn=False, image__status=Status.ACTIVE
    )
    if family.current:
        earlier = earlier.exclude(pk=family.current.pk)
    if family.verified_only:
        earlier = earlier.exclude(image__verified_by="")
    return earlier.order_by("-promoted_at", "-pk").first()


def _check(family: Family, version: FamilyVersion, image: Image | None) -> None:
    what = f"Version {version.label} of family {family.name} cannot be promoted: "
    if version.withdrawn:
        raise errors.Conflict(
            f"{what}it is withdrawn. Set its 'withdrawn' to false first."
        )
    if image is None:
        raise errors.Conflict(f"{what}its image is deleted. Choose another version.")
    if image.status == Status.PENDING_DELETE:
        raise errors.Conflict(
            f"{what}its image is in the trash. Restore the image first."
        )
    if image.status != Status.ACTIVE:
        raise errors.Conflict(
            f"{what}its image is {image.status}. Promote it when it is active."
        )
    if family.verified_only and not image.verified_by:
        raise errors.Conflict(
            f"{what}no digest that its sender stated was compared with its data, and the "
            "family wants verified images. Upload the image with its digest, or set "
            "'verified_only' of the family to false."
        )
