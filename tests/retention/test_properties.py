"""What holds for the decisions on any images, tried on many that nobody thought of."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from images.models import READABLE_STATUSES, Status
from images.retention.decisions import Fact, decide
from images.retention.rules import DEACTIVATE, DELETE, HIDE, Rules, Stage
from tests.retention.facts import NOW, days, fact

STATUSES = [
    it.value for it in Status if it not in (Status.PENDING_DELETE, Status.DELETED)
]

spans = st.none() | st.integers(1, 400).map(days)
times = st.none() | st.integers(0, 500).map(lambda age: NOW - days(age))
stages = st.lists(st.integers(0, 200), min_size=3, max_size=3).map(
    lambda after: tuple(
        Stage(action, timedelta(days=it))
        for action, it in zip((HIDE, DEACTIVATE, DELETE), sorted(after), strict=True)
    )
)
rules = st.builds(
    Rules,
    last=st.none() | st.integers(1, 5),
    newer_than=spans,
    tags=st.sampled_from([(), ("keep",)]),
    labels=st.sampled_from([(), ("*-lts",)]),
    until_property=st.sampled_from([None, "until"]),
    stages=stages,
    acts_on_shared=st.booleans(),
    has_trash=st.booleans(),
)
images = st.lists(
    st.fixed_dictionaries(
        {
            "age": st.integers(0, 500),
            "status": st.sampled_from(STATUSES),
            "hidden": st.booleans(),
            "protected": st.booleans(),
            "is_shared": st.booleans(),
            "tags": st.sampled_from([[], ["keep"]]),
            "label": st.sampled_from(["", "24.04-lts", "1"]),
            "family": st.sampled_from(["", "debian-13"]),
            "until": st.sampled_from([None, "2027-01-01", "2020-01-01", "last-2", "?"]),
            "since": times,
            "action": st.sampled_from(["", HIDE, DEACTIVATE, DELETE]),
            "acted_at": times,
        }
    ),
    max_size=8,
).map(
    lambda found: [fact(str(number), **values) for number, values in enumerate(found)]
)


def visible(group: list[Fact]) -> list[Fact]:
    """The active images that are not hidden, newest first."""
    found = [it for it in group if it.status == "active" and not it.hidden]
    return sorted(found, key=lambda it: it.age_key, reverse=True)


@settings(max_examples=100, deadline=None)
@given(rules, images)
def test_the_newest_visible_image_is_never_acted_on(
    rules: Rules, group: list[Fact]
) -> None:
    acted = {it.fact.image for it in decide(rules, group, NOW) if it.is_action}

    assert not {it.image for it in visible(group)[:1]} & acted


@settings(max_examples=100, deadline=None)
@given(images, st.integers(1, 6), st.integers(0, 8))
def test_the_rule_last_keeps_exactly_so_many(
    group: list[Fact], last: int, current: int
) -> None:
    group = [
        replace(it, is_current=number == current) for number, it in enumerate(group)
    ]
    with_data = [it for it in group if it.status in READABLE_STATUSES]

    found = decide(Rules(last=last), group, NOW)

    kept = {it.fact.image for it in found if it.decision == "keep"}
    assert len(kept) == min(last, len(with_data))
    newest = sorted(with_data, key=lambda it: (it.is_current, it.age_key), reverse=True)
    assert kept == {it.image for it in newest[:last]}


@settings(max_examples=100, deadline=None)
@given(rules, images)
def test_what_is_protected_without_data_or_in_no_trash_is_never_acted_on(
    rules: Rules, group: list[Fact]
) -> None:
    for decision in decide(rules, group, NOW):
        if decision.is_action:
            assert not decision.fact.protected
            assert decision.fact.status in READABLE_STATUSES
            assert rules.acts_on_shared or not decision.fact.is_shared
            assert rules.has_trash or decision.decision != DELETE


@settings(max_examples=100, deadline=None)
@given(rules, images)
def test_each_image_gets_one_decision_with_a_reason(
    rules: Rules, group: list[Fact]
) -> None:
    found = decide(rules, group, NOW)

    assert sorted(it.fact.image for it in found) == sorted(it.image for it in group)
    assert all(it.because for it in found)
