"""What a policy looks at, and what a preview says about it."""

from __future__ import annotations

import time
import tracemalloc
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from images import families
from images.access import Caller
from images.models import Event, Image, RetentionClock, RetentionPolicy
from images.retention import policies
from images.retention.preview import preview

pytestmark = pytest.mark.django_db

MIB = 1 << 20


def sentences(policy: RetentionPolicy) -> dict[str, str]:
    """Image -> decision and reason."""
    return {it.fact.image: it.sentence for it in preview(policy, limit=None).page}


def looked_at(policy: RetentionPolicy) -> set[str]:
    return set(sentences(policy))


def groups(policy: RetentionPolicy) -> set[frozenset[str]]:
    """The images of each group, as a policy with ``last: 1`` shows them: one of each is kept."""
    found: list[list[str]] = []
    for decision in preview(policy, limit=None).page:
        if decision.because.startswith("last 1 (1st"):
            found.append([])
        found[-1].append(decision.fact.image)
    return {frozenset(group) for group in found}


# Which images


def test_images_outside_of_families_are_grouped_by_name_within_their_project(
    policy: Any, aged: Any
) -> None:
    a, b = aged(2), aged(1)
    other_name = aged(1, name="ubuntu")
    elsewhere = aged(3, owner="project-b")
    nameless, another = aged(9, name=None), aged(8, name=None)

    assert groups(policy()) == {
        frozenset({a.pk, b.pk}),
        frozenset({other_name.pk}),
        frozenset({elsewhere.pk}),
        frozenset({nameless.pk}),
        frozenset({another.pk}),
    }


def test_images_can_be_grouped_by_a_property_or_not_at_all(
    policy: Any, aged: Any
) -> None:
    a = aged(2, name="a", properties={"os": "debian"})
    b = aged(1, name="b", properties={"os": "debian"})
    c, d = aged(3), aged(4)

    assert groups(policy(group_by="property:os")) == {
        frozenset({a.pk, b.pk}),
        frozenset({c.pk}),
        frozenset({d.pk}),
    }
    everything = policy(name="all", group_by="none")
    assert groups(everything) == {frozenset({a.pk, b.pk, c.pk, d.pk})}


def test_the_images_of_a_family_are_one_group_in_the_order_of_their_versions(
    policy: Any, aged: Any, member: Caller
) -> None:
    families.create(member, {"name": "debian-13", "architecture": "x86_64"})
    images = [aged(1) for _ in range(3)]
    for label, image in zip(("9.1", "9.10", "9.9"), images, strict=True):
        families.add(member, "debian-13", image.pk, label=label)

    page = preview(policy(keep={"last": 2}), limit=None).page

    assert [it.fact.label for it in page] == ["9.10", "9.9", "9.1"]
    assert [it.fact.group for it in page] == ["debian-13"] * 3
    assert [it.decision for it in page] == ["keep", "keep", "done"]


def test_the_current_version_is_kept_whatever_its_age(
    policy: Any, aged: Any, member: Caller
) -> None:
    families.create(member, {"name": "debian-13", "architecture": "x86_64"})
    old, new = aged(900), aged(1)
    families.add(member, "debian-13", old.pk, promote=True)
    families.add(member, "debian-13", new.pk)

    found = sentences(policy(keep={"newer_than": "90d"}))

    assert found[old.pk] == "blocked: the current version of family debian-13"


@pytest.mark.parametrize(
    ("select", "fields"),
    [
        ({"tags": ["ci"]}, {"tags": ["ci", "nightly"]}),
        ({"name": "ci-*"}, {"name": "ci-1"}),
        ({"disk_format": "iso"}, {"disk_format": "iso"}),
        ({"visibility": "public"}, {"visibility": "public"}),
        ({"properties": {"os": "debian"}}, {"properties": {"os": "debian"}}),
    ],
)
def test_a_selection_leaves_other_images_alone(
    select: Any, fields: Any, policy: Any, aged: Any
) -> None:
    mine, _ = aged(1, **fields), aged(1)

    assert looked_at(policy(select=select)) == {mine.pk}


def test_a_policy_looks_at_its_scope_alone(
    policy: Any, aged: Any, member: Caller, admin: Caller
) -> None:
    families.create(member, {"name": "debian-13", "architecture": "x86_64"})
    mine, of_family, elsewhere = aged(1), aged(2), aged(3, owner="project-b")
    families.add(member, "debian-13", of_family.pk)
    aged(4, status="pending_delete")

    def scope(**scope: Any) -> set[str]:
        return looked_at(policy(name=f"by-{min(scope)}", scope=scope))

    assert scope(everything=True) == {mine.pk, of_family.pk, elsewhere.pk}
    assert scope(projects=["project-a"]) == {mine.pk, of_family.pk}
    assert scope(families=["debian-13"]) == {of_family.pk}


def test_a_family_that_names_a_policy_is_looked_at_by_it_alone(
    policy: Any, aged: Any, member: Caller, admin: Caller
) -> None:
    general = policy()
    special = policy(name="special", scope={"families": []})
    made = families.create(member, {"name": "debian-13", "architecture": "x86_64"})
    image, other = aged(1), aged(1)
    families.add(member, "debian-13", image.pk)

    families.update(admin, str(made.pk), {"retention": "special"})

    assert (looked_at(special), looked_at(general)) == ({image.pk}, {other.pk})


# What is known about them


def test_the_stated_build_date_counts_before_the_creation(
    policy: Any, aged: Any
) -> None:
    stated = aged(1, properties={"image_build_date": "2020-01-31"})
    real = aged(100)

    page = preview(policy(), limit=None).page

    assert [it.fact.image for it in page] == [real.pk, stated.pk]


@pytest.mark.parametrize(
    "stated", ["0001-01-01T00:00:00+10:00", "9999-12-31T23:59:59-10:00"]
)
def test_a_build_date_that_is_no_time_in_utc_is_passed_over(
    stated: str, policy: Any, aged: Any
) -> None:
    image = aged(1, properties={"image_build_date": stated, "until": stated})

    (decision,) = preview(policy(keep={"until_property": "until"}), limit=None).page

    assert decision.fact.built == image.created_at
    assert decision.because == f"until is {stated!r}, which is no date"


def test_an_image_that_another_project_has_accepted_is_kept(
    policy: Any, aged: Any
) -> None:
    aged(1)
    accepted, pending, withdrawn = aged(2), aged(3), aged(4, visibility="private")
    for image in (accepted, withdrawn):
        image.members.create(member="project-b", status="accepted")
    pending.members.create(member="project-b", status="pending")

    found = sentences(policy())

    assert found[accepted.pk] == "blocked: shared with a project that has accepted it"
    assert found[pending.pk].startswith("hide: ")
    assert found[withdrawn.pk].startswith("hide: ")
    assert sentences(policy(name="all", shared="act"))[accepted.pk].startswith("hide")


def test_a_preview_changes_nothing(policy: Any, aged: Any) -> None:
    made = policy()
    aged(1), aged(2)
    before = list(Image.objects.order_by("pk").values())
    events = Event.objects.count()

    found = preview(made, limit=None)

    assert (len(found.acts), found.total) == (1, 2)
    assert list(Image.objects.order_by("pk").values()) == before
    assert Event.objects.count() == events
    assert not RetentionClock.objects.exists()


# The token, pages and limits


def test_the_token_changes_with_what_a_run_acts_on_and_with_the_policy(
    policy: Any, aged: Any, admin: Caller
) -> None:
    made = policy()
    newest, old = aged(1), aged(2)

    def token() -> str:
        return preview(RetentionPolicy.objects.get()).token

    first = token()
    Image.objects.filter(pk=newest.pk).update(updated_at=timezone.now())
    assert token() == first
    Image.objects.filter(pk=old.pk).update(updated_at=timezone.now())
    second = token()
    policies.update(admin, made.name, {"max_per_run": 7})

    assert len({first, second, token()}) == 3


def test_a_run_acts_on_the_oldest_images_and_puts_off_the_others(
    policy: Any, aged: Any
) -> None:
    images = [aged(age) for age in range(5)]

    found = preview(policy(max_per_run=2), limit=None)

    assert [it.fact.image for it in found.acts] == [images[4].pk, images[3].pk]
    assert {it: n for it, n in found.counts.items() if n} == {
        "keep": 1,
        "hide": 2,
        "later": 2,
    }
    put_off = [it.sentence for it in found.page if it.decision == "later"]
    assert put_off == ["later: hide, but max_per_run 2 is reached"] * 2
    assert found.due == 4


def test_decisions_come_in_pages_and_by_their_kind(policy: Any, aged: Any) -> None:
    made = policy()
    for age in range(5):
        aged(age)
    everything = [it.fact.image for it in preview(made, limit=None).page]

    paged, marker = [], None
    while True:
        found = preview(made, limit=2, marker=marker)
        paged += [it.fact.image for it in found.page]
        if (marker := found.marker) is None:
            break

    assert paged == everything
    kept = preview(made, limit=2, only=("keep",))
    assert [it.decision for it in kept.page] == ["keep"]


@pytest.fixture
def many(db: None) -> None:
    """10,000 images in groups of 20."""
    now = timezone.now()
    Image.objects.bulk_create(
        Image(
            name=f"image-{number // 20}",
            owner=f"project-{number // 2000}",
            status="active",
            size=MIB,
            properties={"image_build_date": "2026-01-31", "os": "debian"},
            created_at=now - timedelta(hours=number),
        )
        for number in range(10_000)
    )


@pytest.mark.once
@pytest.mark.usefixtures("many")
def test_10000_images_are_previewed_by_three_queries_within_seconds(
    policy: Any,
) -> None:
    made = policy()

    with CaptureQueriesContext(connection) as queries:
        began = time.monotonic()
        found = preview(made, limit=100)
        seconds = time.monotonic() - began

    assert (found.total, found.due, len(found.acts)) == (10_000, 9500, 100)
    assert len(queries) == 3
    assert seconds < 10


@pytest.mark.long
@pytest.mark.usefixtures("many")
def test_10000_images_are_previewed_in_little_memory(policy: Any) -> None:
    made = policy()

    tracemalloc.start()
    preview(made, limit=100)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()

    assert peak < 16 * MIB


def test_with_keystone_a_scope_takes_any_id_of_a_project(
    policy: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_AUTH = "keystone"

    made = policy(scope={"projects": ["known-there"]})

    assert made.scope == {"projects": ["known-there"]}
