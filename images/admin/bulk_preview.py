"""Previews of bulk changes: how many images would change, stay as they are or be refused, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final, NamedTuple

from django.db.models import Case, Count, IntegerField, Q, QuerySet, Value, When
from django.utils.translation import gettext as _

from images.admin.actions import ACTIONS, Action, conditions
from images.admin.changelist import project_names
from images.bulk import trash_room, undoing
from images.bulk.edits import EDIT, EDITS, Edit, changes_back, refusal
from images.bulk.trash_room import Overflow
from images.models import BulkChange, BulkRow, FamilyVersion, Image, Status

SHOWN: Final = 25  # images of each list
CHECKED: Final = 500  # images on which an edit is tried

# Verbs that change nothing, and refuse nothing, in images with these statuses.
NOTHING_TO_DO: Final = {"deactivate": Status.DEACTIVATED, "reactivate": Status.ACTIVE}


class Refused(NamedTuple):
    """An image that would be refused, and the reason."""

    image: Image
    reason: str


class Preview(NamedTuple):
    """The expected outcome of a bulk change: numbers of images, with examples."""

    total: int
    changing: int
    unchanged: int  # they are already as the bulk change wants them
    reasons: dict[str, int]  # why images would be refused -> number of images
    changing_images: Sequence[Image]  # the first ones
    refused_images: list[Refused]  # the first ones
    untried: int = 0  # images that an edit was not tried on: they can have any outcome
    no_room: Overflow = Overflow()  # in the trash; the reasons count them, too
    possible: QuerySet[Image] | None = None  # the images that an action can change

    @property
    def refused(self) -> int:
        """The number of images that would be refused."""
        return sum(self.reasons.values())


def preview(change: BulkChange) -> Preview:
    """Return the outcome that a draft would have now. The number of queries is constant."""
    if change.verb not in EDITS:
        return _of_action(change, ACTIONS[change.verb])
    if change.verb == EDIT and not change.edit:  # nothing to try on images
        total = change.rows.count()
        return Preview(total, 0, total, {}, [], [])
    return _of_edit(change)


def _selected(change: BulkChange) -> QuerySet[Image]:
    """Return the query for the images that were selected for a bulk change."""
    return Image.objects.filter(pk__in=change.rows.values("image"))


_CHANGING, _UNCHANGED = -2, -1  # the others are positions in a list of reasons


def _possible(change: BulkChange, action: Action) -> list[tuple[Q, Any]]:
    """Return the conditions that the images of a draft must meet, each with the reason if it fails."""
    checks = conditions(action)
    if change.undoes:
        checks.append((undoing.likely_left_by(change.undoes), _(undoing.TOUCHED)))
    return checks


def _of_action(change: BulkChange, action: Action) -> Preview:
    checks = _possible(change, action)
    reasons = [str(reason) for _condition, reason in checks]
    cases = [
        When(~condition, then=Value(number))
        for number, (condition, _reason) in enumerate(checks)
    ]
    if (status := NOTHING_TO_DO.get(action.verb)) and not change.undoes:
        cases.insert(0, When(status=status, then=Value(_UNCHANGED)))
    outcome = Case(*cases, default=Value(_CHANGING), output_field=IntegerField())
    images = _selected(change).annotate(outcome=outcome)
    counts = dict(images.values_list("outcome").annotate(Count("pk")).order_by())
    ordered = images.order_by("pk")  # by another column all of them would be sorted
    refused = [
        Refused(image, reasons[image.outcome])
        for image in ordered.filter(outcome__gte=0)[:SHOWN]
    ]
    changing = list(ordered.filter(outcome=_CHANGING)[:SHOWN])
    found = Preview(
        total=sum(counts.values()),
        changing=counts.get(_CHANGING, 0),
        unchanged=counts.get(_UNCHANGED, 0),
        reasons={
            reason: counts[number]
            for number, reason in enumerate(reasons)
            if number in counts
        },
        changing_images=changing,
        refused_images=refused,
        possible=_selected(change).filter(
            *(condition for condition, _reason in checks)
        ),
    )
    if action.verb != "delete":
        return found
    return _without_room(found, images.filter(outcome=_CHANGING))


def _without_room(found: Preview, images: QuerySet[Image]) -> Preview:
    """Return the preview of a deletion that refuses the images without room in the trash."""
    watched = {image.pk for image in found.changing_images}
    full = trash_room.overflow(images, watched)
    names = project_names({owner for owner in full.images if owner})
    reasons = {
        _("The trash of project %(project)s has no room for the image.")
        % {"project": names.get(owner or "", owner) or "–"}: number
        for owner, number in full.images.items()
    }
    return found._replace(
        changing=found.changing - full.images.total(),
        reasons=found.reasons | reasons,
        changing_images=[it for it in found.changing_images if it.pk not in full.ids],
        no_room=full,
    )


def _of_edit(change: BulkChange) -> Preview:
    total = change.rows.count()
    reasons: Counter[str] = Counter()
    edit = Edit.of(change.edit)
    changing, refused, unchanged, tried = [], [], 0, 0
    for row, family in _with_families(change):
        tried += 1
        changes_of = edit.changes_of if change.verb == EDIT else changes_back(row)
        changes, reason = refusal(changes_of, row.image, family)
        if reason:
            reasons[reason] += 1
            refused.append(Refused(row.image, reason))
        elif changes:
            changing.append(row.image)
        else:
            unchanged += 1
    return Preview(
        total=total,
        changing=len(changing),
        unchanged=unchanged,
        reasons=dict(reasons.most_common()),
        changing_images=changing[:SHOWN],
        refused_images=refused[:SHOWN],
        untried=total - tried,
    )


def _with_families(change: BulkChange) -> Iterator[tuple[BulkRow, str]]:
    """Yield the first rows of a draft, each with its image's family; empty without a family."""
    rows = list(change.rows.select_related("image").order_by("pk")[:CHECKED])
    ids = [row.image_id for row in rows]
    versions = FamilyVersion.objects.filter(image__in=ids)
    names = dict(versions.values_list("image", "family__name"))
    for row in rows:
        yield row, names.get(row.image_id, "")
