"""Lists: who gets what, in which order, page by page."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest
from django.db.models import Q

from images import access, errors, listing
from images.access import Caller, implied
from images.api.query import SORT_KEYS
from images.listing import Listing
from images.models import Image, LocationStatus, Member, rows
from images.models.rows import NULLABLE, Row

THEN = datetime(2026, 1, 1, tzinfo=UTC)
VISIBILITIES = ("private", "shared", "community", "public")
EVERYTHING = Listing(limit=1000)


def page(caller: Caller, asked: Listing) -> list[Row]:
    return listing.page(caller, asked).rows


def names(caller: Caller, **asked: Any) -> set[str]:
    return {row["name"] for row in page(caller, replace(EVERYTHING, **asked))}


# Who gets what


@pytest.fixture
def all_kinds(make_image: Callable[..., Image], stranger: Caller) -> None:
    """Images of the member's project, ``a-…``, and of two others, ``b-…`` and ``c-…``.

    The stranger is of project-b, with whom some of project-a's are shared: ``a-accepted`` …
    """
    for letter, visibility in itertools.product("abc", VISIBILITIES):
        make_image(
            name=f"{letter}-{visibility}",
            owner=f"project-{letter}",
            visibility=visibility,
        )
    for status in ("accepted", "pending", "rejected"):
        image = make_image(name=f"a-{status}")
        Member.objects.create(image=image, member=stranger.project, status=status)
    dormant = make_image(name="a-dormant", visibility="private")
    Member.objects.create(image=dormant, member=stranger.project, status="accepted")
    make_image("deleted", name="b-deleted", owner="project-b", visibility="public")
    make_image("pending_delete", name="b-pending-delete", visibility="public")


def of(letter: str, *kinds: str) -> set[str]:
    return {f"{letter}-{kind}" for kind in kinds}


OWN = of("b", *VISIBILITIES)
PUBLIC = {"a-public", "b-public", "c-public"}
COMMUNITY = {"a-community", "b-community", "c-community"}


@pytest.mark.usefixtures("all_kinds")
@pytest.mark.parametrize("role", ["member", "reader"])
def test_by_default_a_list_has_ones_own_public_and_accepted_images(role: str) -> None:
    caller = Caller("user", "project-b", implied(role))

    assert names(caller) == OWN | PUBLIC | {"a-accepted"}


@pytest.mark.usefixtures("all_kinds")
@pytest.mark.parametrize(
    ("visibility", "expected"),
    [
        ("all", OWN | PUBLIC | COMMUNITY | {"a-accepted"}),
        ("public", PUBLIC),
        ("community", COMMUNITY),
        ("shared", {"b-shared", "a-accepted"}),
        ("private", {"b-private"}),
    ],
)
def test_a_visibility_can_be_asked_for(
    visibility: str, expected: set[str], stranger: Caller
) -> None:
    assert names(stranger, visibility=visibility) == expected


@pytest.mark.usefixtures("all_kinds")
@pytest.mark.parametrize(
    ("member_status", "shared"),
    [
        ("accepted", {"a-accepted"}),
        ("pending", {"a-pending"}),
        ("rejected", {"a-rejected"}),
        ("all", {"a-accepted", "a-pending", "a-rejected"}),
    ],
)
def test_the_member_status_concerns_what_is_shared_only(
    member_status: str, shared: set[str], stranger: Caller
) -> None:
    assert names(stranger, member_status=member_status) == OWN | PUBLIC | shared
    assert (
        names(stranger, member_status=member_status, visibility="shared")
        == {"b-shared"} | shared
    )


@pytest.mark.usefixtures("all_kinds")
def test_an_admin_gets_everything_that_is_not_deleted(admin: Caller) -> None:
    everything = set().union(*(of(letter, *VISIBILITIES) for letter in "abc"))
    everything |= of("a", "accepted", "pending", "rejected", "dormant")

    assert names(admin) == names(admin, visibility="all") == everything
    assert names(admin, visibility="community") == COMMUNITY
    assert names(admin, where=Q(owner="project-c")) == of("c", *VISIBILITIES)


@pytest.mark.usefixtures("all_kinds")
def test_others_community_images_need_a_visibility(stranger: Caller) -> None:
    of_c = Q(owner="project-c")

    assert names(stranger, where=of_c) == {"c-public"}
    assert names(stranger, where=of_c, visibility="community") == {"c-community"}


@pytest.mark.usefixtures("all_kinds")
@pytest.mark.parametrize("visibility", [None, "all", *VISIBILITIES])
def test_nobody_finds_by_a_filter_what_is_not_theirs(
    visibility: str | None, stranger: Caller
) -> None:
    where = Q(name__in=["a-private", "a-dormant", "a-shared", "c-shared"])

    assert names(stranger, where=where, visibility=visibility) == set()


def test_an_image_is_listed_once_for_however_many_reasons(
    make_image: Callable[..., Image], member: Caller
) -> None:
    image = make_image(visibility="public")
    Member.objects.create(image=image, member=member.project, status="accepted")
    for number in range(3):
        image.locations.create(store="local", key=f"ab/{number}")

    (row,) = page(member, replace(EVERYTHING, visibility="all"))

    assert len(row["locations"]) == 3


def test_a_row_has_its_live_locations_in_their_order(
    make_image: Callable[..., Image], member: Caller
) -> None:
    image = make_image()
    for key in ("second", "first"):
        image.locations.create(store="local", key=key, metadata={"key": key})
    image.locations.create(
        store="local", key="gone", status=LocationStatus.PENDING_DELETE
    )

    expected = [
        ("local", "second", {"key": "second"}),
        ("local", "first", {"key": "first"}),
    ]
    assert access.get_image(member, image.pk)["locations"] == expected
    assert page(member, EVERYTHING)[0]["locations"] == expected


# Order and pages

Walker = Callable[[Listing], Iterator[str]]


@pytest.fixture
def mixture(make_image: Callable[..., Image], member: Caller) -> None:
    """Images with equal and with missing values, seen by the member for various reasons."""
    reasons = itertools.cycle(
        [
            {"owner": "project-a", "visibility": "private"},
            {"owner": "project-a", "visibility": "public"},
            {"owner": "project-b", "visibility": "public"},
            {"owner": "project-b", "visibility": "shared"},
        ]
    )
    values = itertools.product(("x", "y", None), (1, 2, None), (0, 1))
    for number, (text, size, second) in enumerate(values):
        # Ids run against the other columns, so that the last tie-breaker shows.
        image = make_image(
            "saving" if number % 3 else "queued",
            id=str(UUID(int=1000 - number * 7 % 31)),
            name=text,
            size=size,
            disk_format=None if number % 4 else "raw",
            container_format=None if number % 2 else "bare",
            created_at=THEN + timedelta(seconds=second),
            updated_at=THEN + timedelta(seconds=number % 3),
            **next(reasons),
        )
        Member.objects.create(image=image, member=member.project, status="accepted")


def expected(sort: tuple[tuple[str, bool], ...]) -> list[str]:
    """The ids in order, as plain Python sorts them: least significant key first."""
    directions = {descending for _, descending in sort}
    last = directions.pop() if len(directions) == 1 else True
    images = list(Image.objects.all())
    for column, descending in reversed([*sort, ("created_at", last), ("id", last)]):
        images.sort(key=lambda image: _missing_first(image, column), reverse=descending)
    return [image.pk for image in images]


def _missing_first(image: Image, column: str) -> tuple[bool, Any]:
    value = getattr(image, column)
    return (value is not None, value) if value is not None else (False, 0)


def walk(caller: Caller, asked: Listing) -> Iterator[str]:
    for _ in range(1000):
        rows = page(caller, asked)
        yield from (row["id"] for row in rows)
        if len(rows) < asked.limit:
            return
        asked = replace(asked, marker=rows[-1]["id"])


ORDERS = [
    (),
    *[((key, descending),) for key in SORT_KEYS for descending in (False, True)],
    (("name", False), ("size", True)),
    (("size", True), ("name", True)),
    (("status", False), ("disk_format", False)),
    (("container_format", True), ("status", False), ("updated_at", True)),
    (("created_at", False), ("name", True)),
    (("id", False), ("name", False)),
]


@pytest.mark.usefixtures("mixture")
@pytest.mark.parametrize("who", ["admin", "member"])
@pytest.mark.parametrize("sort", ORDERS, ids=str)
def test_pages_of_every_size_are_the_whole_list_in_order(
    sort: tuple[tuple[str, bool], ...], who: str, request: pytest.FixtureRequest
) -> None:
    caller = request.getfixturevalue(who)
    order = expected(sort)

    for limit in (1, 2, 3, len(order), 1000):
        assert list(walk(caller, Listing(sort=sort, limit=limit))) == order


@pytest.mark.usefixtures("mixture")
@pytest.mark.parametrize("sort", [(), (("name", True),), (("size", False),)], ids=str)
def test_pages_of_a_filtered_list_are_that_list(
    sort: tuple[tuple[str, bool], ...], member: Caller
) -> None:
    where, wanted = Q(status="queued"), Image.objects.filter(status="queued")
    ids = set(wanted.values_list("pk", flat=True))

    found = list(walk(member, Listing(where=where, sort=sort, limit=2)))

    assert found == [pk for pk in expected(sort) if pk in ids]


@pytest.mark.usefixtures("mixture")
@pytest.mark.parametrize("column", sorted(NULLABLE))
def test_without_a_value_counts_as_lowest(column: str, admin: Caller) -> None:
    for descending, end in ((False, 0), (True, -1)):
        asked = replace(EVERYTHING, sort=((column, descending),))
        assert page(admin, asked)[end][column] is None


def test_upper_case_does_not_confuse_paging(
    make_image: Callable[..., Image], member: Caller
) -> None:
    # How a database orders them is its own matter; that the pages add up is not.
    words = ["a", "A", "b", "B", "é", "É", "", " ", "aa", "Ab", "ß", "_", "10", "9"]
    for word in words:
        make_image(name=word)

    for descending in (False, True):
        sort = (("name", descending),)
        whole = [row["id"] for row in page(member, Listing(sort=sort))]
        assert list(walk(member, Listing(sort=sort, limit=3))) == whole
        assert len(whole) == len(words)


def test_microseconds_do_not_get_lost_between_pages(
    make_image: Callable[..., Image], member: Caller
) -> None:
    for number in range(5):
        make_image(created_at=THEN + timedelta(microseconds=number))

    assert len(list(walk(member, Listing(limit=1)))) == 5


def test_images_that_come_or_go_do_not_disturb_the_rest(
    make_image: Callable[..., Image], member: Caller
) -> None:
    made = [make_image(created_at=THEN + timedelta(days=day)) for day in range(6)]
    (first, marker) = page(member, Listing(limit=2))
    Image.objects.filter(pk__in=[first["id"], made[3].pk]).update(deleted_at=THEN)
    make_image(created_at=THEN + timedelta(days=9))

    rest = list(walk(member, Listing(limit=2, marker=marker["id"])))

    assert rest == [image.pk for image in reversed(made[:3])]


@pytest.mark.parametrize("status", ["deleted", "pending_delete"])
def test_a_marker_may_have_been_deleted(
    status: str, make_image: Callable[..., Image], member: Caller
) -> None:
    older = make_image(created_at=THEN)
    marker = make_image(status, created_at=THEN + timedelta(days=1))

    (row,) = page(member, Listing(marker=marker.pk))

    assert row["id"] == older.pk


def test_a_marker_that_the_caller_does_not_see_is_as_unknown_as_any(
    make_image: Callable[..., Image], stranger: Caller
) -> None:
    for marker in (make_image().pk, "nothing"):
        with pytest.raises(errors.Invalid, match=f"Marker {marker} is not an image"):
            page(stranger, Listing(marker=marker))


def test_a_marker_need_not_fit_the_filter(
    make_image: Callable[..., Image], member: Caller
) -> None:
    wanted = make_image(name="wanted", created_at=THEN)
    marker = make_image(name="other", created_at=THEN + timedelta(days=1))

    asked = Listing(where=Q(name="wanted"), marker=marker.pk)

    assert [row["id"] for row in page(member, asked)] == [wanted.pk]


def test_a_limit_of_nothing_is_an_empty_page(
    make_image: Callable[..., Image], member: Caller
) -> None:
    make_image()

    assert page(member, Listing(limit=0)) == []


# Pages of long images

LONG = {"text": "x" * 5000}


@pytest.fixture
def long_images(
    make_image: Callable[..., Image], monkeypatch: pytest.MonkeyPatch
) -> list[str]:
    """Names of five long images, on pages of 12,000 characters, in their order."""
    monkeypatch.setattr(listing, "MAX_LENGTH", 12_000)
    monkeypatch.setattr(rows, "PORTION", 2)
    for name in "abcde":
        make_image(name=name, properties=LONG, tags=["t"])
    return list("abcde")


def test_a_page_ends_at_a_number_of_characters(
    long_images: list[str], admin: Caller
) -> None:
    shown = listing.page(admin, Listing(sort=(("name", False),), limit=1000))

    assert [row["name"] for row in shown.rows] == ["a", "b", "c"]
    assert [(row["properties"], row["tags"]) for row in shown.rows] == [
        (LONG, ["t"])
    ] * 3
    assert (shown.marker, shown.is_cut) == (shown.rows[-1]["id"], True)


@pytest.mark.parametrize("who", ["admin", "member"])
def test_short_pages_are_the_whole_list(
    who: str, long_images: list[str], request: pytest.FixtureRequest
) -> None:
    caller, asked = request.getfixturevalue(who), Listing(sort=(("name", False),))
    names = []
    while True:
        shown = listing.page(caller, asked)
        names += [row["name"] for row in shown.rows]
        if shown.marker is None:
            break
        asked = replace(asked, marker=shown.marker)

    assert names == long_images


def test_an_image_longer_than_a_page_is_a_page(
    long_images: list[str], admin: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_LENGTH", 50)

    assert names(admin, sort=(("name", False),)) == {"a"}


def test_long_and_short_images_keep_their_order(
    long_images: list[str], make_image: Callable[..., Image], admin: Caller
) -> None:
    for name in ("aa", "ba", "ca"):
        make_image(name=name, properties={"text": "short"})

    shown = listing.page(admin, Listing(sort=(("name", False),)))

    assert [row["name"] for row in shown.rows] == ["a", "aa", "b", "ba", "c", "ca"]
    assert [len(row["properties"]["text"]) for row in shown.rows] == [5000, 5] * 3


@pytest.mark.parametrize(("texts", "queries"), [("short", 1), ("x" * 5000, 2)])
def test_only_long_images_take_another_query(
    texts: str,
    queries: int,
    make_image: Callable[..., Image],
    admin: Caller,
    django_assert_num_queries: Any,
) -> None:
    make_image(properties={"text": texts})

    with django_assert_num_queries(queries):
        listing.page(admin, Listing(limit=1000))


def test_locations_do_not_count_as_images_of_a_page(
    make_image: Callable[..., Image], admin: Caller
) -> None:
    image = make_image(properties=LONG)
    for number in range(3):
        image.locations.create(store="local", key=str(number))

    shown = listing.page(admin, Listing(limit=1000))

    assert [len(row["locations"]) for row in shown.rows] == [3]
    assert not shown.is_cut


# Statements that are compiled once


@pytest.mark.usefixtures("all_kinds")
def test_lists_of_one_form_are_compiled_once(stranger: Caller) -> None:
    other = replace(stranger, project="project-c")
    listing._of_form.cache_clear()

    assert names(stranger, where=Q(name="b-shared")) == {"b-shared"}
    assert names(other, where=Q(name="c-private")) == {"c-private"}
    assert names(other, where=Q(name="b-shared")) == set()
    assert listing._of_form.cache_info().misses == 1


@pytest.mark.parametrize("sort", SORT_KEYS)
def test_pages_of_one_form_are_compiled_once(
    sort: str, make_image: Callable[..., Image], member: Caller
) -> None:
    for number in range(6):
        at = THEN + timedelta(days=number)
        make_image(name=f"{number}", size=number, created_at=at, updated_at=at)
    asked = Listing(sort=((sort, False),), limit=1)
    listing._of_form.cache_clear()

    assert len(set(walk(member, asked))) == 6
    # The first page, and the pages after a value and after NULL.
    assert listing._of_form.cache_info().misses <= 3


@pytest.mark.usefixtures("all_kinds")
def test_lists_of_admins_are_compiled_once(admin: Caller) -> None:
    listing._of_form.cache_clear()

    assert names(admin, where=Q(name="b-shared")) == {"b-shared"}
    assert names(admin, where=Q(name="c-private")) == {"c-private"}
    assert listing._of_form.cache_info()[:2] == (1, 1)  # hits, misses


@pytest.mark.usefixtures("all_kinds")
def test_a_condition_that_changes_its_value_is_not_compiled_once(
    stranger: Caller,
) -> None:
    for text in ("b-sh", "b-pub"):
        found = names(stranger, where=Q(name__startswith=text))
        assert found == {name for name in OWN if name.startswith(text)}


@pytest.mark.usefixtures("all_kinds")
def test_a_number_that_no_column_holds_matches_no_image(stranger: Caller) -> None:
    assert names(stranger, where=Q(size=0)) == set()
    assert names(stranger, where=Q(size=10**30)) == set()
