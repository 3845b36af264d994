"""Previews of bulk changes: how many images would change, stay as they are or be refused, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Final, NamedTuple

from django.db.models import Case, Count, IntegerField, QuerySet, Value, When

from images.admin.actions import ACTIONS, Action, conditions
from images.bulk.edits import EDIT, Edit, is_empty, refusal
from images.lifecycle import family_members
from images.models import BulkChange, FamilyVersion, Image, Status

SHOWN: Final = 25  # images of each list
CHECKED: Final = 500  # images on which an edit is tried; others can still be refused

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
    changing_images: list[Image]  # the first ones
    refused_images: list[Refused]  # the first ones
    unchecked: int = 0  # images that an edit was not tried on; they count as changing

    @property
    def refused(self) -> int:
        """The number of images that would be refused."""
        return sum(self.reasons.values())


def preview(change: BulkChange) -> Preview:
    """Return the outcome that a bulk change would have now. The number of queries is constant."""
    if change.verb != EDIT:
        return _of_action(change, ACTIONS[change.verb])
    if not change.edit:  # nothing to try on images
        total = change.rows.count()
        return Preview(total, 0, total, {}, [], [])
    return _of_edit(change, Edit.of(change.edit))


def selected(change: BulkChange) -> QuerySet[Image]:
    """Return the query for the images that were selected for a bulk change."""
    return Image.objects.filter(pk__in=change.rows.values("image"))


_CHANGING, _UNCHANGED = -2, -1  # the others are positions in a list of reasons


def _of_action(change: BulkChange, action: Action) -> Preview:
    checks = conditions(action)
    reasons = [str(reason) for _condition, reason in checks]
    cases = [
        When(~condition, then=Value(number))
        for number, (condition, _reason) in enumerate(checks)
    ]
    if status := NOTHING_TO_DO.get(action.verb):
        cases.insert(0, When(status=status, then=Value(_UNCHANGED)))
    outcome = Case(*cases, default=Value(_CHANGING), output_field=IntegerField())
    images = selected(change).annotate(outcome=outcome)
    counts = dict(images.values_list("outcome").annotate(Count("pk")).order_by())
    ordered = images.order_by("pk")  # by another column all of them would be sorted
    refused = [
        Refused(image, reasons[image.outcome])
        for image in ordered.filter(outcome__gte=0)[:SHOWN]
    ]
    return Preview(
        total=sum(counts.values()),
        changing=counts.get(_CHANGING, 0),
        unchanged=counts.get(_UNCHANGED, 0),
        reasons={
            reason: counts[number]
            for number, reason in enumerate(reasons)
            if number in counts
        },
        changing_images=list(ordered.filter(outcome=_CHANGING)[:SHOWN]),
        refused_images=refused,
    )


def _of_edit(change: BulkChange, edit: Edit) -> Preview:
    total = change.rows.count()
    reasons: Counter[str] = Counter()
    changing, refused, unchanged, checked = [], [], 0, 0
    for image, family in _with_families(change, edit):
        checked += 1
        changes, reason = refusal(edit, image, family)
        if reason:
            reasons[reason] += 1
            refused.append(Refused(image, reason))
        elif is_empty(changes):
            unchanged += 1
        else:
            changing.append(image)
    return Preview(
        total=total,
        changing=total - unchanged - len(refused),
        unchanged=unchanged,
        reasons=dict(reasons.most_common()),
        changing_images=changing[:SHOWN],
        refused_images=refused[:SHOWN],
        unchecked=total - checked,
    )


def _with_families(change: BulkChange, edit: Edit) -> Iterator[tuple[Image, str]]:
    """Yield the first images of a bulk change, each with its family's name, empty without a family.

    The name is also empty if ``edit`` changes no field that families manage.
    """
    rows = list(change.rows.select_related("image").order_by("pk")[:CHECKED])
    names: dict[str, str] = {}
    if {*family_members.MANAGED} & edit.fields.keys():
        ids = [row.image_id for row in rows]
        versions = FamilyVersion.objects.filter(image__in=ids)
        names = dict(versions.values_list("image", "family__name"))
    for row in rows:
        yield row.image, names.get(row.image_id, "")
