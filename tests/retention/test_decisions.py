"""What a policy does with the images of a group: each rule, each pair of rules, each blocker."""

from __future__ import annotations

from dataclasses import replace
from itertools import combinations
from typing import Any

import pytest

from images.retention.decisions import Decision, Fact, decide
from images.retention.rules import DEACTIVATE, DELETE, HIDE, Rules, Stage
from tests.retention.facts import NOW, days, fact

AT_ONCE = (Stage(HIDE, days(0)),)
STAGES = (
    Stage(HIDE, days(0)),
    Stage(DEACTIVATE, days(30)),
    Stage(DELETE, days(90)),
)
NEWEST = fact("newest", 0)
# Each rule with an image that it keeps, and one that it does not keep. In the group of the image is
# NEWEST, so that no image is the newest visible one.
RULES: dict[str, tuple[dict[str, Any], dict[str, Any], dict[str, Any]]] = {
    "last": ({"last": 2}, {"is_current": False}, {"status": "active"}),
    "newer_than": ({"newer_than": days(90)}, {}, {}),
    "labels": ({"labels": ("*-lts",)}, {"label": "24.04-lts"}, {"label": "24.10"}),
    "tags": ({"tags": ("keep",)}, {"tags": ["keep"]}, {"tags": ["kept"]}),
    "until_property": (
        {"until_property": "provided_until"},
        {"until": "2026-06-01"},  # a date includes its day
        {"until": "2026-05-31"},
    ),
}


def group(rule: str, *, kept: bool) -> tuple[Rules, list[Fact]]:
    """A policy with this rule, and an image that it keeps or not; more images for a rule on these."""
    values, keeps, leaves = RULES[rule]
    image = fact("image", 100, **(keeps if kept else leaves))
    others = [NEWEST]
    if rule == "last" and not kept:
        others.append(fact("second", 50))
    if rule == "newer_than" and kept:
        image = replace(image, built=NOW - days(89))
    return Rules(stages=AT_ONCE, **values), [*others, image]


def of(decisions: list[Decision], image: str = "image") -> Decision:
    return next(it for it in decisions if it.fact.image == image)


@pytest.mark.parametrize("rule", RULES)
def test_a_rule_alone_keeps_what_it_names_and_nothing_else(rule: str) -> None:
    assert of(decide(*group(rule, kept=True), NOW)).decision == "keep"
    assert of(decide(*group(rule, kept=False), NOW)).decision == HIDE


@pytest.mark.parametrize("pair", [*combinations(RULES, 2)], ids="+".join)
@pytest.mark.parametrize("keeping", [(True, False), (False, True), (False, False)])
def test_of_two_rules_one_is_enough_to_keep(
    pair: tuple[str, str], keeping: tuple[bool, bool]
) -> None:
    values: dict[str, Any] = {"stages": AT_ONCE}
    image: dict[str, Any] = {"age": 100.0}
    others = [NEWEST]
    for rule, kept in zip(pair, keeping, strict=True):
        given, keeps, leaves = RULES[rule]
        values |= given
        image |= keeps if kept else leaves
        if rule == "newer_than" and kept:
            image["age"] = 89.0
        if rule == "last" and not kept:
            others.append(fact("second", 50))

    found = of(decide(Rules(**values), [*others, fact("image", **image)], NOW))

    assert found.decision == ("keep" if any(keeping) else HIDE)


BLOCKERS: list[tuple[str, dict[str, Any], str]] = [
    (
        "current",
        {"is_current": True, "family": "debian-13"},
        "the current version of family debian-13",
    ),
    ("protected", {"protected": True}, "protected"),
    (
        "status",
        {"status": "queued"},
        "status queued, neither active nor deactivated",
    ),
    (
        "status",
        {"status": "importing"},
        "status importing, neither active nor deactivated",
    ),
    (
        "shared",
        {"is_shared": True},
        "shared with a project that has accepted it",
    ),
]


@pytest.mark.parametrize(
    ("name", "values", "because"), BLOCKERS, ids=[str(it[1]) for it in BLOCKERS]
)
def test_a_blocker_keeps_what_no_rule_keeps(
    name: str, values: dict[str, Any], because: str
) -> None:
    rules = Rules(newer_than=days(90), stages=AT_ONCE)

    found = of(decide(rules, [NEWEST, fact("image", 100, **values)], NOW))

    assert (found.decision, found.blocked_by) == ("blocked", name)
    assert found.sentence == f"blocked: {because}"


def test_a_policy_can_act_on_shared_images() -> None:
    rules = Rules(newer_than=days(90), stages=AT_ONCE, acts_on_shared=True)

    assert of(
        decide(rules, [NEWEST, fact("image", 100, is_shared=True)], NOW)
    ).is_action


def test_the_newest_visible_image_of_a_group_is_never_acted_on() -> None:
    rules = Rules(newer_than=days(1), stages=AT_ONCE)
    hidden = fact("hidden", 50, hidden=True)

    found = of(decide(rules, [hidden, fact("image", 100)], NOW))

    assert found.sentence == "blocked: the newest visible image of its group"


def test_of_visible_images_the_newest_active_one_stays() -> None:
    rules = Rules(newer_than=days(1), stages=AT_ONCE)
    broken = fact("broken", 50, status="deactivated")

    found = decide(rules, [broken, fact("image", 100)], NOW)

    assert of(found).blocked_by == "newest"
    assert of(found, "broken").decision == HIDE


def test_nothing_is_deleted_without_the_trash() -> None:
    rules = Rules(newer_than=days(1), stages=(Stage(DELETE, days(0)),), has_trash=False)

    found = of(decide(rules, [NEWEST, fact("image", 9)], NOW))

    assert found.blocked_by == "trash"
    assert "IMAGECATALOG_DELAYED_DELETE" in found.because


# Last


def test_the_current_version_is_one_of_the_last() -> None:
    current = fact("current", 300, is_current=True, family="debian-13")
    images = [current, *(fact(f"{age}", age, family="debian-13") for age in (1, 2, 3))]

    found = decide(Rules(last=2, stages=AT_ONCE), images, NOW)

    kept = {it.fact.image: it.because for it in found if it.decision == "keep"}
    assert kept == {"current": "last 2 (1st of 4)", "1": "last 2 (2nd of 4)"}


def test_images_without_data_are_not_among_the_last() -> None:
    images = [fact("new", 1, status="queued"), fact("a", 2), fact("b", 3)]

    found = decide(Rules(last=1, stages=AT_ONCE), images, NOW)

    assert of(found, "a").sentence == "kept: last 1 (1st of 2)"
    assert of(found, "b").decision == HIDE


def test_versions_of_one_day_are_in_the_order_of_their_labels() -> None:
    def version(label: bytes) -> Fact:
        built = NOW - days(1)
        name = label.decode()
        return fact(name, age_key=(built, label, built, name))

    versions = [version(it) for it in (b"029", b"0210", b"011")]  # natural keys

    found = decide(Rules(last=2, stages=AT_ONCE), versions, NOW)

    assert [it.fact.image for it in found] == ["029", "0210", "011"]
    assert [it.decision for it in found] == ["keep", "keep", HIDE]


# Until a date


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ("2026-06-02", "kept: provided_until 2026-06-02"),
        ("2026-06-01T14:00:00+01:00", "kept: provided_until 2026-06-01T14:00:00+01:00"),
        ("forever", "kept: provided_until is 'forever', which is no date"),
        ("2026-13-01", "kept: provided_until is '2026-13-01', which is no date"),
        ("", "kept: provided_until is '', which is no date"),
        ("last-2", "kept: provided_until last-2 (2nd of 2)"),
        ("last-1", None),
        ("2026-06-01", "kept: provided_until 2026-06-01"),
        ("2026-05-31", None),
        (None, None),
    ],
)
def test_a_date_keeps_an_image_until_its_day_has_passed(
    value: str | None, sentence: str | None
) -> None:
    rules = Rules(until_property="provided_until", stages=AT_ONCE)

    found = of(decide(rules, [NEWEST, fact("image", 100, until=value)], NOW))

    if sentence is None:
        assert found.decision == HIDE
    else:
        assert found.sentence == sentence


def test_without_records_of_uses_the_rule_used_within_keeps_all_and_says_so() -> None:
    rules = Rules(used_within=days(90), stages=AT_ONCE)

    found = of(decide(rules, [NEWEST, fact("image", 100)], NOW))

    assert found.sentence == (
        "kept: used within 90d: unknown, because uses of images are not recorded"
    )


# Stages


def staged(**values: Any) -> Decision:
    rules = Rules(last=1, newer_than=days(90), stages=STAGES)
    return of(decide(rules, [NEWEST, fact("image", 97, **values)], NOW))


def test_an_action_says_why_no_rule_keeps_the_image() -> None:
    assert staged().sentence == (
        "hide: 97 days old, 2nd of 2, no rule keeps it (last 1, newer than 90d)"
    )


HIDDEN = {"hidden": True, "action": HIDE}
OFF = {"status": "deactivated", "hidden": True, "action": DEACTIVATE}


@pytest.mark.parametrize(
    ("values", "decision"),
    [
        ({}, HIDE),  # no run has seen it before
        ({"since": NOW - days(500)}, HIDE),  # one stage at a time
        ({"hidden": True}, "wait"),  # hidden by somebody else
        ({**HIDDEN, "since": NOW - days(29), "acted_at": NOW - days(29)}, "wait"),
        ({**HIDDEN, "since": NOW - days(30), "acted_at": NOW - days(30)}, DEACTIVATE),
        # The run that has hidden it was late: the next stage is as late.
        ({**HIDDEN, "since": NOW - days(500), "acted_at": NOW - days(29)}, "wait"),
        ({**HIDDEN, "since": NOW - days(500), "acted_at": NOW - days(30)}, DEACTIVATE),
        ({**OFF, "since": NOW - days(89), "acted_at": NOW - days(60)}, "wait"),
        ({**OFF, "since": NOW - days(90), "acted_at": NOW - days(60)}, DELETE),
        ({**OFF, "since": NOW - days(500), "acted_at": NOW - days(59)}, "wait"),
        # Deactivated by somebody else, so deletion is the next stage after hiding.
        (
            {
                **HIDDEN,
                "status": "deactivated",
                "since": NOW - days(90),
                "acted_at": NOW - days(90),
            },
            DELETE,
        ),
        # Somebody has reverted the last action: the image has all the time again.
        (
            {
                "hidden": True,
                "action": DEACTIVATE,
                "since": NOW - days(500),
                "acted_at": NOW - days(400),
            },
            "wait",
        ),
        ({**OFF, "action": DELETE, "since": NOW - days(500)}, "wait"),
        # A family decides which of its images are hidden.
        ({"family": "debian-13"}, "wait"),
        ({"family": "debian-13", "since": NOW - days(30)}, DEACTIVATE),
    ],
)
def test_an_image_moves_one_stage_at_a_time_and_gets_the_time_between_them(
    values: dict[str, Any], decision: str
) -> None:
    assert staged(**values).decision == decision


def test_the_first_run_that_sees_an_image_never_deletes_it() -> None:
    rules = Rules(last=1, stages=(Stage(DELETE, days(0)),))

    def found(**values: Any) -> Decision:
        return of(decide(rules, [NEWEST, fact("image", 97, **values)], NOW))

    assert found().sentence.startswith("waits: delete in the next run; 97 days old, ")
    assert found(since=NOW).decision == DELETE


def test_a_waiting_image_says_for_how_long() -> None:
    waiting = staged(hidden=True, since=NOW - days(10.001))

    assert waiting.sentence.startswith("waits: deactivate in 20 days; 97 days old, ")


def test_an_image_on_which_no_action_is_left_is_done() -> None:
    rules = Rules(last=1, stages=AT_ONCE)

    found = of(decide(rules, [NEWEST, fact("image", 97, hidden=True)], NOW))

    assert (
        found.sentence
        == "done: no action is left; 97 days old, 2nd of 2, no rule keeps it (last 1)"
    )


@pytest.mark.parametrize(
    ("stages", "because"),
    [
        ((), "nothing to do, the policy only reports"),
        (AT_ONCE, "the family decides what is hidden"),
    ],
)
def test_a_version_on_which_a_policy_has_nothing_to_do_says_why(
    stages: tuple[Stage, ...], because: str
) -> None:
    rules = Rules(last=1, stages=stages)

    found = of(decide(rules, [NEWEST, fact("image", 97, family="debian-13")], NOW))

    assert found.sentence.startswith(f"done: {because}; 97 days old, ")


def test_ordinals_are_those_of_english() -> None:
    images = [fact(f"{age:03}", age) for age in range(113)]

    found = decide(Rules(last=200, stages=AT_ONCE), images, NOW)

    endings = {number: found[number - 1].because for number in (1, 3, 11, 22, 113)}
    assert [text.split("(")[1].split()[0] for text in endings.values()] == [
        "1st",
        "3rd",
        "11th",
        "22nd",
        "113th",
    ]
