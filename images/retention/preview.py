"""Previews: the decisions of a policy, and what a run would do now. Nothing here changes anything."""

from __future__ import annotations

import hashlib
import heapq
from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from django.conf import settings
from django.db.models import Subquery
from django.utils import timezone

from images.errors import Invalid
from images.models import (
    Image,
    Result,
    RetentionDecision,
    RetentionPolicy,
    RetentionRun,
)
from images.retention import facts, values
from images.retention.decisions import DECISIONS, PUT_OFF, Decision, decide
from images.retention.rules import ACTIONS, Rules


@dataclass
class Preview:
    """A preview: the decisions on which a run would act, the number of each kind, and a page."""

    # What a run acts on, in this order, at most max_per_run.
    acts: list[Decision] = field(default_factory=list)
    due: int = 0  # images on which the policy would act without max_per_run
    counts: Counter[str] = field(default_factory=Counter)  # by decision
    page: list[Decision] = field(default_factory=list)
    marker: str | None = None  # id of the last image of the page; None on the last page
    token: str = ""

    @property
    def total(self) -> int:
        """The number of images that the policy looks at."""
        return self.counts.total()

    @property
    def size(self) -> int:
        """The bytes of the images on which a run acts."""
        return sum(decision.fact.size for decision in self.acts)

    def exceeds(self, policy: RetentionPolicy) -> bool:
        """Return whether the policy would act on more than ``max_share`` percent of its images."""
        return self.due * 100 > self.total * policy.max_share


def rules_of(policy: RetentionPolicy) -> Rules:
    """Return the rules of a policy, with the present configuration of the trash.

    Raises Invalid for a policy with values of a newer release.
    """
    values.check(policy)
    return Rules.of(policy, has_trash=settings.IMAGECATALOG_DELAYED_DELETE)


def all_decisions(
    policy: RetentionPolicy, now: datetime, holder: facts.Holder | None = None
) -> Iterator[Decision]:
    """Yield what a policy decides on each of its images, or only on those of ``holder``. Two queries.

    Decisions of one holder (a family, or a project) come together. The caller must not write to the
    database until the last decision is read: SQLite refuses to write on a connection that still
    reads, once another process has written.
    """
    rules = rules_of(policy)
    for group in facts.groups(policy, holder):
        yield from decide(rules, group, now)


def decision_on(policy: RetentionPolicy, image: Image) -> Decision | None:
    """Return the present decision on an image; None if the policy does not look at it. Four queries."""
    group = facts.group_of(policy, image)
    decisions = decide(rules_of(policy), group, timezone.now())
    return next((it for it in decisions if it.fact.image == image.pk), None)


def preview(
    policy: RetentionPolicy,
    *,
    limit: int | None = 0,
    marker: str | None = None,
    only: Collection[str] = DECISIONS,
) -> Preview:
    """Return what a run of a policy would do now. Three queries.

    A run acts on the oldest images first, but last on the images that the previous run has skipped:
    so these never prevent it from reaching the others. The page has at most ``limit`` decisions
    (None: all), of the kinds in ``only``, in the order of the groups; it begins after the image
    ``marker``. Raises Invalid if ``marker`` is not the id of an image of the policy, and for a
    policy with values of a newer release.
    """
    result, page = Preview(), _Page(limit, marker, only)

    def due() -> Iterator[Decision]:
        for decision in all_decisions(policy, timezone.now()):
            result.counts[decision.decision] += 1
            page.offer(decision)
            if decision.is_action:
                result.due += 1
                yield decision

    skipped = _skipped(policy)

    def order(decision: Decision) -> tuple[bool, datetime, str]:
        fact = decision.fact
        return fact.image in skipped, fact.built, fact.image

    # Of any number of images only those on which a run acts stay in memory.
    result.acts = heapq.nsmallest(policy.max_per_run, due(), key=order)
    _put_off(result)
    result.page, result.marker = page.decisions(result.acts), page.next_marker()
    result.token = _token(policy, result.acts)
    return result


def _skipped(policy: RetentionPolicy) -> set[str]:
    """Return the ids of the images that the last run of a policy has skipped. One query."""
    last = (
        RetentionRun.objects.filter(policy=policy.pk).order_by("-pk").values("pk")[:1]
    )
    rows = RetentionDecision.objects.filter(run=Subquery(last), result=Result.SKIPPED)
    return set(rows.values_list("image", flat=True))


def _put_off(result: Preview) -> None:
    """Count the due actions that are beyond the limit of a run as put off."""
    acting = Counter(decision.decision for decision in result.acts)
    for action in ACTIONS:
        late = result.counts[action] - acting[action]
        result.counts[action] -= late
        result.counts[PUT_OFF] += late


def _token(policy: RetentionPolicy, acts: list[Decision]) -> str:
    """Return a digest of the policy's version and of each image on which a run acts.

    A change of another image matters only if it changes what a run acts on. So a preview can still
    be run in a catalogue in which images change all the time.
    """
    lines = [f"{policy.pk} {policy.version}"]
    lines += [
        f"{it.fact.image} {it.fact.updated_at.isoformat()} {it.decision}" for it in acts
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


class _Page:
    """A page of decisions; ``offer`` is called with each decision, in their order."""

    def __init__(
        self, limit: int | None, marker: str | None, only: Collection[str]
    ) -> None:
        self._limit, self._after, self._only = limit, marker, only
        self._found: list[Decision] = []
        self._is_full = False

    def offer(self, decision: Decision) -> None:
        """Add a decision after the marker to the page, if its kind is wanted and the page has room."""
        if self._after is not None:
            if decision.fact.image == self._after:
                self._after = None
            return
        may_be_put_off = decision.is_action and PUT_OFF in self._only
        if decision.decision not in self._only and not may_be_put_off:
            return
        self._is_full = self._limit is not None and len(self._found) >= self._limit
        if not self._is_full:
            self._found.append(decision)

    def decisions(self, acts: list[Decision]) -> list[Decision]:
        """Return the decisions of the page, given those on which the run acts (``acts``).

        Decisions on which it does not act because of its limit are shown as put off. Raises Invalid
        if the marker is not the id of an image of the policy.
        """
        if self._after is not None:
            raise Invalid(
                f"Marker {self._after[:64]} is no image of the policy. Use the id of the last "
                "image of the previous page."
            )
        acting = {decision.fact.image for decision in acts}
        because = f"max_per_run {len(acts)} is reached"
        shown = (
            it._replace(decision=PUT_OFF, because=f"{it.decision}, but {because}")
            if it.is_action and it.fact.image not in acting
            else it
            for it in self._found
        )
        return [it for it in shown if it.decision in self._only]

    def next_marker(self) -> str | None:
        """Return the id of the last image of the page; None if it is the last page."""
        return self._found[-1].fact.image if self._is_full and self._found else None
