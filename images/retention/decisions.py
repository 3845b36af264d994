"""Decide what a retention policy does with the images of one group.

Nothing here reads the database or the clock: the decisions depend only on the arguments.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from fnmatch import fnmatchcase
from typing import Final, NamedTuple

from images import units
from images.models import READABLE_STATUSES, Status
from images.retention.rules import ACTIONS, DEACTIVATE, DELETE, HIDE, Rules, Stage

# The decisions besides the ACTIONS.
KEEP: Final = "keep"  # a rule keeps the image
BLOCKED: Final = "blocked"  # no rule keeps the image, but something else does
WAIT: Final = "wait"  # the image is not kept, and its next stage is not due
PUT_OFF: Final = "later"  # due, but the run acts on enough other images
DONE: Final = "done"  # the image is not kept, and no stage is left
DECISIONS: Final = (*ACTIONS, PUT_OFF, WAIT, DONE, BLOCKED, KEEP)

_WORDS: Final = {KEEP: "kept", WAIT: "waits", PUT_OFF: "later"}
_LAST = re.compile("last-([0-9]{1,9})")
_DATE_LENGTH: Final = len("2026-01-31")


@dataclass(frozen=True, slots=True)
class Fact:
    """The facts about an image on which decisions depend."""

    image: str  # id
    name: str
    status: str
    built: datetime  # its build date, else its creation
    # Sorts the images of a group by age: build date, natural order of the label, creation, id.
    age_key: tuple[datetime, bytes, datetime, str]
    updated_at: datetime
    hidden: bool = False
    protected: bool = False
    is_shared: bool = False  # with a project that has accepted the image
    size: int = 0  # bytes
    tags: Collection[str] = ()
    group: str = ""  # for people
    family: str = ""  # name; empty outside of families
    label: str = ""  # of its version in the family
    is_current: bool = False  # in its family
    until: str | None = None  # the value of the property of the rule until_property
    # The clock of the policy for the image, if there is one: since when it is not kept, the last
    # action of the policy on it, and the time of the action.
    since: datetime | None = None
    action: str = ""
    acted_at: datetime | None = None


class Decision(NamedTuple):
    """The decision of a policy on an image, with its reason."""

    fact: Fact
    decision: str  # one of DECISIONS
    because: str
    blocked_by: str = ""

    @property
    def is_action(self) -> bool:
        """Whether the decision changes the image."""
        return self.decision in ACTIONS

    @property
    def sentence(self) -> str:
        """The decision in one sentence, such as ``kept: last 3 (2nd of 5)``."""
        return f"{word(self.decision)}: {self.because}"


class _Place(NamedTuple):
    """The place of an image among those of its group that have data: 1 is the newest one."""

    number: int
    total: int

    def __str__(self) -> str:
        return f"{_ordinal(self.number)} of {self.total}"


def word(decision: str) -> str:
    """Return the name of a decision for users, such as ``kept`` for the decision ``keep``."""
    return _WORDS.get(decision, decision)


def decide(rules: Rules, group: Collection[Fact], now: datetime) -> list[Decision]:
    """Return the decisions on all images of a group, newest first.

    Images with data are numbered for rules such as ``last``: first the current version of a family,
    then the others, newest first. ``now`` is the time at which the decisions are made.
    """
    newest_first = sorted(group, key=lambda fact: fact.age_key, reverse=True)
    places = _places(newest_first)
    visible = _newest_visible(newest_first)
    return [
        _decide(rules, fact, places.get(fact.image), fact is visible, now)
        for fact in newest_first
    ]


def clock(fact: Fact) -> datetime | None:
    """Return the time since which the policy has not kept the image; None if the time begins now.

    None if no run has found the image not kept, or somebody has since reverted the policy's last
    action on it: then no action is due before its full time is over again.
    """
    reverted = {
        HIDE: not (fact.hidden or fact.family),
        DEACTIVATE: fact.status == Status.ACTIVE,
        DELETE: True,  # the image exists
    }
    return None if reverted.get(fact.action, False) else fact.since


def _places(newest_first: Sequence[Fact]) -> dict[str, _Place]:
    counted = [fact for fact in newest_first if fact.status in READABLE_STATUSES]
    counted.sort(key=lambda fact: not fact.is_current)  # stable
    return {
        fact.image: _Place(number, len(counted))
        for number, fact in enumerate(counted, start=1)
    }


def _newest_visible(newest_first: Sequence[Fact]) -> Fact | None:
    visible = [
        fact
        for fact in newest_first
        if not fact.hidden and fact.status in READABLE_STATUSES
    ]
    active = (fact for fact in visible if fact.status == Status.ACTIVE)
    return next(active, visible[0] if visible else None)


def _decide(
    rules: Rules, fact: Fact, place: _Place | None, is_visible: bool, now: datetime
) -> Decision:
    if kept := next(_kept(rules, fact, place, now), None):
        return Decision(fact, KEEP, kept)
    if blocked := next(_blockers(rules, fact, is_visible), None):
        return Decision(fact, BLOCKED, blocked[1], blocked[0])
    assert place is not None  # else its status is a blocker
    return _staged(rules, fact, place, now)


# Rules


def _kept(
    rules: Rules, fact: Fact, place: _Place | None, now: datetime
) -> Iterator[str]:
    """Yield the reason of each rule that keeps the image."""
    if rules.last and place and place.number <= rules.last:
        yield f"last {rules.last} ({place})"
    if rules.newer_than is not None and now - fact.built < rules.newer_than:
        yield f"newer than {_span(rules.newer_than)} ({_age(fact, now)})"
    labels = (it for it in rules.labels if fact.label and fnmatchcase(fact.label, it))
    yield from (f"label {fact.label} ({it})" for it in labels)
    yield from (f"tag {it}" for it in rules.tags if it in fact.tags)
    if rules.until_property and fact.until is not None:
        yield from _until(rules.until_property, fact.until, place, now)
    if rules.used_within is not None:
        yield (
            f"used within {_span(rules.used_within)}: unknown, because uses of images are not "
            "recorded"
        )


def _until(name: str, value: str, place: _Place | None, now: datetime) -> Iterator[str]:
    if last := _LAST.fullmatch(value):
        if place and place.number <= int(last[1]):
            yield f"{name} {value} ({place})"
        return
    until = parse_time(value)
    if until is None:
        yield f"{name} is {value[:64]!r}, which is no date"
    elif now < until or (len(value) == _DATE_LENGTH and now.date() == until.date()):
        yield f"{name} {value}"  # a date includes its day


def parse_time(text: str) -> datetime | None:
    """Parse a date, which means its first instant in UTC, or a time; None for any other text.

    The result is in UTC: None also for a time whose year in UTC is not 1 to 9999.
    """
    try:
        if len(text) == _DATE_LENGTH:
            return datetime.combine(date.fromisoformat(text), time(), UTC)
        parsed = datetime.fromisoformat(text)
        zoned = parsed if parsed.tzinfo else parsed.replace(tzinfo=UTC)
        return zoned.astimezone(UTC)
    except (ValueError, OverflowError):
        return None


# What keeps an image that no rule keeps


def _blockers(rules: Rules, fact: Fact, is_visible: bool) -> Iterator[tuple[str, str]]:
    if fact.is_current:
        yield "current", f"the current version of family {fact.family}"
    if fact.protected:
        yield "protected", "protected"
    if fact.status not in READABLE_STATUSES:
        yield "status", f"status {fact.status}, neither active nor deactivated"
    if is_visible:
        yield "newest", "the newest visible image of its group"
    if fact.is_shared and not rules.acts_on_shared:
        yield "shared", "shared with a project that has accepted it"


# Stages


def _staged(rules: Rules, fact: Fact, place: _Place, now: datetime) -> Decision:
    why = _why(rules, fact, place, now)
    stage = next((it for it in rules.stages if not _has(fact, it.action)), None)
    if stage is None:
        return Decision(fact, DONE, f"{_nothing_left(rules, fact)}; {why}")
    due = _due(rules, fact, stage, now)
    if now < due:
        because = f"{stage.action} in {_remaining(due - now)}; {why}"
        return Decision(fact, WAIT, because)
    if stage.action == DELETE and not rules.has_trash:
        because = "deleted images do not go to the trash (IMAGECATALOG_DELAYED_DELETE)"
        return Decision(fact, BLOCKED, because, "trash")
    if stage.action == DELETE and clock(fact) is None:
        return Decision(fact, WAIT, f"delete in the next run; {why}")
    return Decision(fact, stage.action, why)


def _nothing_left(rules: Rules, fact: Fact) -> str:
    """Return the reason why a policy has no further action for an image that it does not keep."""
    if not rules.stages:
        return "nothing to do, the policy only reports"
    if fact.family and all(stage.action == HIDE for stage in rules.stages):
        return "the family decides what is hidden"
    return "no action is left"


def _has(fact: Fact, action: str) -> bool:
    """Return whether an action would change nothing: the image is already hidden or deactivated.

    Also True for hiding an image of a family, because the family decides which of its images are
    hidden.
    """
    if action == HIDE:
        return fact.hidden or bool(fact.family)
    return action == DEACTIVATE and fact.status == Status.DEACTIVATED


def _due(rules: Rules, fact: Fact, stage: Stage, now: datetime) -> datetime:
    """Return when a stage (an action of the policy) is due for an image.

    If an earlier action was late, this one is late as well: between two actions there is always the
    time that the policy sets between them.
    """
    since = clock(fact)
    if since is None:
        return now + stage.after
    due = since + stage.after
    before = {it.action: it.after for it in rules.stages}.get(fact.action)
    if fact.acted_at is None or before is None:
        return due
    return max(due, fact.acted_at + stage.after - before)


def _why(rules: Rules, fact: Fact, place: _Place, now: datetime) -> str:
    """Return the reason why no rule of the policy keeps an image."""
    names = [
        f"last {rules.last}" if rules.last else "",
        f"newer than {_span(rules.newer_than)}" if rules.newer_than is not None else "",
        _any_of("label", rules.labels),
        _any_of("tag", rules.tags),
        f"until {rules.until_property}" if rules.until_property else "",
    ]
    present = ", ".join(filter(None, names))
    return f"{_age(fact, now)}, {place}, no rule keeps it ({present})"


def _any_of(noun: str, texts: Sequence[str]) -> str:
    if not texts:
        return ""
    shown = [*texts[:3], *(["…"] if len(texts) > 3 else [])]
    return f"{noun} {' or '.join(shown)}"


# Words


def _age(fact: Fact, now: datetime) -> str:
    return f"{_counted(now - fact.built)} old"


def _counted(span: timedelta) -> str:
    """Format a time span: whole days, else whole hours, such as ``97 days``."""
    days, hours = span.days, span.seconds // 3600
    if days > 0:
        return units.counted(days, "day")
    return units.counted(max(hours, 0), "hour") if days == 0 else "0 hours"


def _remaining(span: timedelta) -> str:
    """Format the time that is left: whole days, else whole hours, rounded up."""
    unit = timedelta(days=1) if span > timedelta(days=1) else timedelta(hours=1)
    return _counted(-(-span // unit) * unit)


def _span(span: timedelta) -> str:
    return units.duration(span.total_seconds())


def _ordinal(number: int) -> str:
    teens = number % 100 in (11, 12, 13)
    ending = {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{'th' if teens else ending}"
