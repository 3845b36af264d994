"""The query string of a list: conditions, order, page and links."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote

import pytest
from django.http import QueryDict
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from images import access, listing
from images.access import Caller
from images.api import query
from images.api.v2 import filters
from images.errors import ImageError, Invalid
from images.models import Image

ADMIN = access.operator("test")
Found = Callable[[str], list[str | None]]


@pytest.fixture
def found(admin: Caller, db: None) -> Found:
    """``found("name=a")``: the names of the images in the list, sorted by name."""

    def names(query: str) -> list[str | None]:
        rows = listing.page(admin, filters.parse(QueryDict(query), ADMIN)).rows
        return sorted(row["name"] for row in rows)

    return names


def make(name: str, **fields: Any) -> Image:
    return Image.objects.create(name=name, **fields)


def parse(query: str) -> listing.Listing:
    return filters.parse(QueryDict(query), ADMIN)


def refused(query: str) -> bool:
    try:
        parse(query)
    except Invalid as refusal:
        return bool(str(refusal))
    return False


# The page


def test_without_parameters_the_first_25_of_the_default_view_are_asked_for() -> None:
    asked = parse("")

    assert (asked.limit, asked.marker, asked.sort) == (25, None, ())
    assert (asked.visibility, asked.member_status) == (None, "accepted")


@pytest.mark.parametrize(
    ("text", "limit"),
    [("0", 0), ("7", 7), ("1000", 1000), ("1001", 1000), ("9" * 5000, 1000)],
)
def test_a_limit_is_capped(text: str, limit: int) -> None:
    assert parse(f"limit={text}").limit == limit


@pytest.mark.parametrize(
    "text", ["-1", "", "x", "1.0", "٣", "9" * 20 + "x", "-" + "9" * 5000]
)
def test_a_bad_limit_is_refused(text: str) -> None:
    assert refused(f"limit={quote(text)}")


def test_the_marker_is_handed_on() -> None:
    assert parse("marker=abc").marker == "abc"


@pytest.mark.parametrize(
    "query",
    ["visibility=all", "visibility=community", "member_status=all", "deleted=x"],
)
def test_what_the_view_needs_is_accepted(query: str) -> None:
    assert not refused(query)


@pytest.mark.parametrize(
    "query",
    [
        "visibility=PUBLIC",
        "visibility=",
        "member_status=x",
        "changes-since=2026-01-01",
        "properties=x",
        "locations=x",
        "protected=True",
        "protected=",
        "os_hidden=1",
        "os_hidden=",
    ],
)
def test_a_bad_choice_is_refused(query: str) -> None:
    assert refused(query)


@pytest.mark.parametrize("character", ["\x00", "\U0001f600"])
def test_characters_that_no_image_can_have_are_refused(character: str) -> None:
    assert refused(f"name={quote(character)}")
    assert refused(f"marker={quote(character)}")
    assert refused(f"{quote(character)}=x")


def test_too_many_filters_are_refused() -> None:
    with pytest.raises(Invalid, match="at most 100 filters. Leave some out"):
        parse("&".join(f"p{number}=x" for number in range(101)))


def test_too_many_sort_keys_are_refused() -> None:
    with pytest.raises(Invalid, match="at most 100 sort keys"):
        parse("sort=" + "id," * 100 + "id")


def test_lists_are_limited_alone_and_together() -> None:
    with pytest.raises(Invalid, match="list for id has more than 1000 values"):
        parse("id=in:" + ",".join(["x"] * 1001))
    with pytest.raises(Invalid, match="more than 2000 values together"):
        parse("&".join(["id=in:" + ",".join(["x"] * 900)] * 3))


# The order


@pytest.mark.parametrize(
    ("query", "order"),
    [
        ("sort_key=name", [("name", True)]),
        ("sort_key=name&sort_dir=asc", [("name", False)]),
        ("sort_dir=asc", [("created_at", False)]),
        (
            "sort_key=name&sort_key=size&sort_dir=asc",
            [("name", False), ("size", False)],
        ),
        (
            "sort_key=name&sort_key=size&sort_dir=asc&sort_dir=desc",
            [("name", False), ("size", True)],
        ),
        ("sort=name:asc,size", [("name", False), ("size", True)]),
        ("sort=name&sort=id:asc", [("name", True), ("id", False)]),
        ("sort=name:asc,name:desc", [("name", False)]),
    ],
)
def test_an_order_is_understood(query: str, order: list[tuple[str, bool]]) -> None:
    assert list(parse(query).sort) == order


@pytest.mark.parametrize("key", query.SORT_KEYS)
def test_images_can_be_listed_in_the_order_of_every_key(found: Found, key: str) -> None:
    make("a")

    assert found(f"sort={key}:asc") == ["a"]


@pytest.mark.parametrize(
    "query",
    [
        "sort=",
        "sort=,",
        "sort=name,",
        "sort=owner",
        "sort=name:up",
        "sort=name:asc:desc",
        "sort_key=",
        "sort_key=min_ram",
        "sort_dir=down",
        "sort_dir=asc&sort_dir=asc",
        "sort_key=name&sort_key=size&sort_key=id&sort_dir=asc&sort_dir=asc",
        "sort=name&sort_key=name",
        "sort=name&sort_dir=asc",
    ],
)
def test_a_bad_order_is_refused(query: str) -> None:
    assert refused(query)


# Conditions


def test_conditions_must_all_hold(found: Found) -> None:
    make("a", disk_format="raw", min_ram=1)
    make("b", disk_format="raw", min_ram=2)
    make("c", disk_format="iso", min_ram=2)

    assert found("disk_format=raw&min_ram=2") == ["b"]


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("name=a", ["a"]),
        ("name=A", []),
        ("name=eq:a", ["a"]),
        ("name=eq:in:a", []),
        ("name=debian:13", ["debian:13"]),
        ("name=in:a,b", ["a", "b"]),
        ('name=in:a,"b,c"', ["a", "b,c"]),
        ('name=in:"say \\"hi\\""', ['say "hi"']),
        ("name=in:", []),
    ],
)
def test_a_name_is_compared(found: Found, query: str, names: list[str]) -> None:
    for name in ("a", "b", "b,c", "debian:13", 'say "hi"'):
        make(name)

    assert found(query) == names


def test_a_list_may_have_hundreds_of_values(found: Found) -> None:
    make("n300")

    assert found("name=in:" + ",".join(f"n{n}" for n in range(500))) == ["n300"]


@pytest.mark.parametrize(
    "query",
    [
        "name=neq:a",
        "status=gt:active",
        "id=lt:x",
        'name=in:"a',
        'name=in:a"b',
        'name=in:"a"b',
        'name=in:a"',
        "name=in:" + "," * 1000,
    ],
)
def test_a_bad_operator_or_list_is_refused(query: str) -> None:
    assert refused(query)


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("size_min=2", ["b", "c"]),
        ("size_max=2", ["a", "b"]),
        ("size=2", ["b"]),
        ("size_min=2&size_max=2", ["b"]),
        ("min_ram_max=0", ["a", "b", "c", "no size"]),
        (f"size_min={2**63 - 1}", []),
        (f"size_min=-{2**63 - 1}", ["a", "b", "c"]),
        (f"min_ram={2**40}", []),
        (f"min_ram_max={2**40}", ["a", "b", "c", "no size"]),
        (f"size_min={2**63}", []),
        (f"size_max={'9' * 5000}", ["a", "b", "c"]),
        (f"size={10**30}", []),
        (f"min_ram_min=-{10**30}", ["a", "b", "c", "no size"]),
    ],
)
def test_numbers_are_compared(found: Found, query: str, names: list[str]) -> None:
    for size, name in enumerate("abc", start=1):
        make(name, size=size)
    make("no size")

    assert found(query) == names


@pytest.mark.parametrize(
    "name", ["size", "min_disk_min", "virtual_size", "min_ram_max"]
)
@pytest.mark.parametrize("value", ["x", "", "1.5", "1e3", "٣"])
def test_what_is_no_integer_is_refused(name: str, value: str) -> None:
    assert refused(f"{name}={quote(value)}")


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("", ["a", "b"]),
        ("os_hidden=False", ["a", "b"]),
        ("os_hidden=TRUE", ["hidden"]),
        ("protected=true", ["b"]),
        ("protected=false", ["a"]),
        ("owner=p", ["b"]),
        ("checksum=c", ["a"]),
        ("os_hash_algo=sha512&os_hash_value=h", ["a"]),
        ("os_hash_value=x", []),
    ],
)
def test_columns_are_compared(found: Found, query: str, names: list[str]) -> None:
    make("a", checksum="c", os_hash_algo="sha512", os_hash_value="h")
    make("b", protected=True, owner="p")
    make("hidden", os_hidden=True)

    assert found(query) == names


@pytest.mark.parametrize(
    ("query", "names"),
    [
        ("tag=x", ["a", "b"]),
        ("tag=x&tag=y", ["b"]),
        ("tag=z", []),
        ("os_distro=debian", ["a", "b"]),
        ("os_distro=debian&arch=arm", ["b"]),
        ("os_distro=debian&os_distro=debian", ["a", "b"]),
        ("os_distro=debian&os_distro=other", []),
        ("is_public=True", []),
        ("odd%22%27name=1", ["b"]),
    ],
)
def test_tags_and_properties_are_compared(
    found: Found, query: str, names: list[str]
) -> None:
    make("a", tags=["x"], properties={"os_distro": "debian"})
    make(
        "b",
        tags=["x", "y"],
        properties={"os_distro": "debian", "arch": "arm", "odd\"'name": "1"},
    )

    assert found(query) == names


# Times

SHOWN = "2026-03-01T12:00:05Z"
STORED = {
    "before": datetime(2026, 3, 1, 12, 0, 4, 999999, tzinfo=UTC),
    "during": datetime(2026, 3, 1, 12, 0, 5, 500000, tzinfo=UTC),
    "since": datetime(2026, 3, 1, 12, 0, 5, tzinfo=UTC),
    "then": datetime(2026, 3, 1, 12, 0, 6, tzinfo=UTC),
}


@pytest.mark.parametrize(
    ("value", "names"),
    [
        (SHOWN, ["during", "since"]),
        (f"eq:{SHOWN}", ["during", "since"]),
        (f"neq:{SHOWN}", ["before", "then"]),
        (f"gt:{SHOWN}", ["then"]),
        (f"gte:{SHOWN}", ["during", "since", "then"]),
        (f"lt:{SHOWN}", ["before"]),
        (f"lte:{SHOWN}", ["before", "during", "since"]),
    ],
)
def test_a_time_as_it_is_shown_stands_for_its_second(
    found: Found, value: str, names: list[str]
) -> None:
    for name, moment in STORED.items():
        make(name, created_at=moment)

    assert found(f"created_at={quote(value)}") == names


@pytest.mark.parametrize(
    ("op", "names"),
    [
        ("eq", ["during"]),
        ("neq", ["before", "since", "then"]),
        ("gt", ["then"]),
        ("gte", ["during", "then"]),
        ("lt", ["before", "since"]),
        ("lte", ["before", "during", "since"]),
    ],
)
def test_a_time_with_a_fraction_is_exact(
    found: Found, op: str, names: list[str]
) -> None:
    for name, moment in STORED.items():
        make(name, updated_at=moment)

    assert found(f"updated_at={op}:2026-03-01T12:00:05.5Z") == names


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:00:05",
        "2026-03-01T12:00:05Z",
        "2026-03-01T14:00:05+02:00",
        "2026-03-01T07:30:05-0430",
        "2026-03-01 12:00:05",
    ],
)
def test_times_are_understood_in_several_spellings(found: Found, text: str) -> None:
    make("a", created_at=STORED["since"])

    assert found(f"created_at={quote(text)}") == ["a"]


def test_a_date_is_its_midnight(found: Found) -> None:
    make("a", created_at=datetime(2026, 3, 1, tzinfo=UTC))
    make("b", created_at=STORED["since"])

    assert found("created_at=2026-03-01") == ["a"]
    assert found("created_at=gt:2026-03-01") == ["b"]


@pytest.mark.parametrize(
    "text",
    [
        "",
        "now",
        "gt:",
        "in:2026-03-01",
        "after:2026-03-01",
        "2026-13-01",
        "2026-02-30T00:00:00Z",
        "2026",
        "20260301",
        "2026-W10-1",
        "2026-03-01x12:00:00",
        "gt:gt:2026-03-01",
        "9999-12-31T23:59:59Z",
        "0001-01-01T00:00:00+05:00",
        "٢٠٢٦-03-01",
    ],
)
def test_a_bad_time_is_refused(text: str) -> None:
    assert refused(f"created_at={quote(text)}")


# Links


def test_links_repeat_every_parameter() -> None:
    query = "tag=a&limit=2&tag=b&marker=old&name=in:%22%C3%A9,x%22"

    links = filters.links(QueryDict(query), "new")

    rest = "tag=a&tag=b&limit=2&name=in%3A%22%C3%A9%2Cx%22"
    assert links == {
        "first": f"/v2/images?{rest}",
        "next": f"/v2/images?{rest}&marker=new",
    }


def test_the_last_page_has_no_next_link() -> None:
    assert filters.links(QueryDict("marker=old"), None) == {"first": "/v2/images"}


def test_following_a_link_asks_for_the_same_images() -> None:
    query = "tag=a&tag=b&os_distro=x%26y&sort_key=name&sort_key=id&size_min=3"

    followed = filters.links(QueryDict(query), "m")["next"].partition("?")[2]

    assert parse(followed).where == parse(query).where
    assert parse(followed).sort == parse(query).sort
    assert parse(followed).marker == "m"


# Anything at all

NAMES = st.sampled_from(
    sorted({*filters.CONDITIONS, *filters.NOT_CONDITIONS, *filters.REFUSED})
)
VALUES = st.text() | st.from_regex(
    r'((eq|neq|gt|gte|lt|lte|in):)?([0-9]{1,25}|[a",\\]*|\d{4}-\d\d-\d\d(T\d\d:\d\dZ)?)',
    fullmatch=True,
)
QUERIES = st.lists(st.tuples(NAMES | st.text(), VALUES), max_size=6)


@given(st.text() | st.binary())
def test_whatever_the_query_string_is_it_is_read_or_refused(query: Any) -> None:
    with suppress(ImageError):
        filters.parse(QueryDict(query), ADMIN)


@pytest.mark.django_db
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(QUERIES)
def test_whatever_is_asked_the_database_can_answer(
    admin: Caller, query: list[tuple[str, str]]
) -> None:
    text = "&".join(
        f"{quote(name, errors='replace')}={quote(value, errors='replace')}"
        for name, value in query
    )

    with suppress(ImageError):
        listing.page(admin, filters.parse(QueryDict(text), ADMIN))
