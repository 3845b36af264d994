"""The fix for each kind of finding, and advice to operators about findings without one."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Final

from images import errors, lifecycle
from images.access import Caller
from images.models import (
    TRANSIENT_STATUSES,
    Image,
    ImageLocation,
    LocationStatus,
)
from images.operations import repair
from images.operations.consistency.finding import Finding
from images.transfers import reaper

REASON = "found by a consistency check"
# Advice on a copy whose damage a verification has found.
DAMAGED: Final = (
    "If another store has an intact copy, copy the image to the store again. Otherwise put the "
    "right data back under the key and run `image_verify`, or delete the image."
)
# The damage is not recorded yet, so that the store still counts as having the data.
_UNRECORDED: Final = f"Run `image_verify` for the image. {DAMAGED}"
ADVICE = {
    "illegal-status": "Write a status of the life cycle into the row, in the database.",
    "no-location": "Delete the image, or add a location that has its bytes.",
    "stray-location": "Report it: no part of the service leaves such a row.",
    "known-damage": DAMAGED,
    "wrong-size": _UNRECORDED,
    "wrong-digest": _UNRECORDED,
    "store-unreachable": "Make the store available, or configure it again, and repeat the check.",
    "history": "Report it: rows were changed by hand. History is never rewritten.",
}


@dataclass(frozen=True)
class Fixing:
    """The options of fixing: the actor for the history, and permissions to remove more than usual."""

    actor: Caller
    foreign: bool = (
        False  # orphaned objects of images that this catalogue does not know
    )
    empty_store: bool = False  # locations in a store that is empty


def can_fix(finding: Finding) -> bool:
    """Return whether there is a fix for this kind of finding."""
    return finding.kind in FIXES


def fix(
    findings: Iterable[Finding], fixing: Fixing
) -> Iterator[tuple[Finding, str | None]]:
    """Fix findings as far as ``fixing`` allows.

    Yields each finding with None, or with the reason why it was not fixed.
    """
    findings = list(findings)
    kinds = {finding.kind for finding in findings}
    if "stuck" in kinds:
        reaper.reap(fixing.actor)
    if "overdue" in kinds:
        _delete_all_that_is_due(fixing.actor)
    for finding in findings:
        if not can_fix(finding):
            yield finding, ADVICE[finding.kind]
            continue
        try:
            FIXES[finding.kind](finding, fixing)
        except errors.ImageError as error:
            yield finding, error.for_operator()
        else:
            yield finding, None


def _delete_all_that_is_due(actor: Caller) -> None:
    while lifecycle.scrub_due(actor):
        pass
    while lifecycle.remove_due_objects():
        pass


def _unstick(finding: Finding, fixing: Fixing) -> None:
    # `fix` has ended the dead transfers before; this fixes images without a transfer.
    still = Image.objects.filter(pk=finding.image_id, status__in=TRANSIENT_STATUSES)
    if not finding.key and still.exists():
        repair.unstick(finding.image_id, fixing.actor, REASON)


def _remove_location(finding: Finding, fixing: Fixing) -> None:
    copies = ImageLocation.objects.filter(
        image=finding.image_id, store=finding.store, key=finding.key
    ).exclude(status=LocationStatus.DELETED)
    for location in copies.values_list("pk", flat=True):
        repair.remove_missing_location(
            location, fixing.actor, REASON, empty_store=fixing.empty_store
        )


def _remove_orphaned_object(finding: Finding, fixing: Fixing) -> None:
    repair.remove_orphan(finding.store, finding.key, foreign=fixing.foreign)


def _check_deleted(finding: Finding, fixing: Fixing) -> None:
    waiting = LocationStatus.PENDING_DELETE
    if finding.key:
        remaining = ImageLocation.objects.filter(
            store=finding.store, key=finding.key, status=waiting
        ).exists()
    else:
        remaining = Image.objects.in_trash().filter(pk=finding.image_id).exists()
    if remaining:
        raise errors.StoreError(
            "It could not be deleted. See the log for the reason, make the store available, and "
            "repeat."
        )


FIXES: dict[str, Callable[[Finding, Fixing], None]] = {
    "stuck": _unstick,
    "missing-bytes": _remove_location,
    "orphan-bytes": _remove_orphaned_object,
    "overdue": _check_deleted,
}
