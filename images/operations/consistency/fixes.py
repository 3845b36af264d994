"""Which verb of the life cycle puts a finding right, and what a person can do about the others."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

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
ADVICE = {
    "illegal-status": "Write a status of the life cycle into the row, in the database.",
    "no-location": "Delete the image, or add a location that has its bytes.",
    "stray-location": "Report it: no part of the service leaves such a row.",
    "known-damage": "Put the right bytes back under the key and run image_verify, or delete "
    "the image.",
    "wrong-size": "Put the right bytes back under the key, or delete the image.",
    "wrong-digest": "Put the right bytes back under the key, or delete the image.",
    "store-unreachable": "See to the store, or configure it again, and repeat.",
    "history": "Report it: somebody has changed rows by hand. History is never rewritten.",
}


@dataclass(frozen=True)
class Fixing:
    """How far the repairs may go."""

    actor: Caller
    foreign: bool = False  # orphans whose image this catalogue does not know
    empty_store: bool = False  # copies in a store that has nothing in it


def can_fix(finding: Finding) -> bool:
    """Is there a verb for it?"""
    return finding.kind in FIXES


def fix(
    findings: Iterable[Finding], fixing: Fixing
) -> Iterator[tuple[Finding, str | None]]:
    """Put right what can be; each finding with None, or with the reason why it stays."""
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
            yield finding, str(error)
        else:
            yield finding, None


def _delete_all_that_is_due(actor: Caller) -> None:
    while lifecycle.scrub_due(actor):
        pass
    while lifecycle.sweep():
        pass


def _release(finding: Finding, fixing: Fixing) -> None:
    # The dead transfers have been reaped before; this is for what has none.
    still = Image.objects.filter(pk=finding.image_id, status__in=TRANSIENT_STATUSES)
    if not finding.key and still.exists():
        repair.unstick(finding.image_id, fixing.actor, REASON)


def _give_up_copy(finding: Finding, fixing: Fixing) -> None:
    copies = ImageLocation.objects.filter(
        image=finding.image_id, store=finding.store, key=finding.key
    ).exclude(status=LocationStatus.DELETED)
    for location in copies.values_list("pk", flat=True):
        repair.lose_location(
            location, fixing.actor, REASON, empty_store=fixing.empty_store
        )


def _remove(finding: Finding, fixing: Fixing) -> None:
    repair.remove_orphan(finding.store, finding.key, foreign=fixing.foreign)


def _check_deleted(finding: Finding, fixing: Fixing) -> None:
    waiting = LocationStatus.PENDING_DELETE
    if finding.key:
        left = ImageLocation.objects.filter(
            store=finding.store, key=finding.key, status=waiting
        ).exists()
    else:
        left = Image.objects.in_trash().filter(pk=finding.image_id).exists()
    if left:
        raise errors.StoreError(
            "It could not be deleted; the log says why. See to the store, and repeat."
        )


FIXES: dict[str, Callable[[Finding, Fixing], None]] = {
    "stuck": _release,
    "missing-bytes": _give_up_copy,
    "orphan-bytes": _remove,
    "overdue": _check_deleted,
}
