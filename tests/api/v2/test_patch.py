"""JSON patch documents: what they say, and what they would change."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import attributes
from images.api.v2 import patch
from images.api.v2.patch import V2_0, V2_1, LocationOperation
from images.attributes import Changes
from images.errors import Conflict, Forbidden, ImageError, Invalid


def parse(document: object, media_type: str = V2_1) -> list[patch.Operation]:
    return patch.parse(media_type, orjson.dumps(document))


def plan(
    *document: dict[str, object], media_type: str = V2_1, **properties: str
) -> tuple[Changes, list[LocationOperation]]:
    return patch.plan(parse(document, media_type), properties)


def change(op: str, path: str, value: object = "x") -> dict[str, object]:
    return {"op": op, "path": path, "value": value}


# The document


@pytest.mark.parametrize(
    "media_type", [V2_1, f"{V2_1}; charset=utf-8", V2_1.upper(), f" {V2_0} "]
)
def test_both_media_types_are_understood(media_type: str) -> None:
    assert patch.parse(media_type, b"[]") == []


@pytest.mark.parametrize(
    "media_type", ["", "application/json", "application/json-patch+json", f"{V2_1}x"]
)
def test_another_media_type_is_not_supported(media_type: str) -> None:
    with pytest.raises(patch.UnsupportedPatch, match=V2_0):
        patch.parse(media_type, b"[]")


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"", "Body expected in request."),
        (b"[", "Malformed JSON in request body."),
        (b"\xff", "Malformed JSON in request body."),
        (b"[NaN]", "Malformed JSON in request body."),
        (b"[" * 100_000, "Malformed JSON in request body."),
        (b"1", "Unexpected body type. Expected list/dict."),
        (b"null", "Unexpected body type. Expected list/dict."),
        (b"{}", "The request body must be a JSON array of operations."),
    ],
)
def test_a_body_that_is_no_list_is_refused(body: bytes, message: str) -> None:
    with pytest.raises(Invalid) as refusal:
        patch.parse(V2_1, body)

    assert str(refusal.value) == message


@pytest.mark.parametrize(
    "element",
    [
        1,
        [],
        None,
        {},
        {"op": "add", "value": 1},
        {"path": "/name", "value": 1},
        {"op": "test", "path": "/name", "value": 1},
        {"op": "move", "from": "/a", "path": "/b"},
        {"op": [], "path": "/name", "value": 1},
        {"op": "add", "path": "/name"},
        {"op": "replace", "path": "/name"},
        {"op": "remove", "path": 1},
        {"op": "remove", "path": None},
        {"remove": "/name"},
    ],
)
def test_a_malformed_operation_is_refused(element: object) -> None:
    with pytest.raises(Invalid):
        parse([element])


@pytest.mark.parametrize(
    "element",
    [
        {},
        {"test": "/name", "value": 1},
        {"add": "/name"},
        {"add": "/name", "replace": "/name", "value": 1},
        {"remove": 1},
        {"op": "add", "path": "/name", "value": 1},
    ],
)
def test_a_malformed_operation_of_the_draft_is_refused(element: object) -> None:
    with pytest.raises(Invalid):
        parse([element], V2_0)


@pytest.mark.parametrize(
    "pointer", ["", "name", "/", "//", "/a/", "/a//b", "/ /b", "/a~", "/a~2b", "/a/ "]
)
def test_a_malformed_pointer_is_refused(pointer: str) -> None:
    with pytest.raises(Invalid):
        parse([change("replace", pointer)])


def test_a_pointer_has_a_limit() -> None:
    with pytest.raises(Invalid, match="at most 1024 characters"):
        parse([change("replace", "/a" * 513)])


@pytest.mark.parametrize(
    ("pointer", "path"),
    [
        ("/name", ("name",)),
        ("/ name ", ("name",)),
        ("/a~1b", ("a/b",)),
        ("/a~01", ("a~1",)),
        ("/locations/-", ("locations", "-")),
    ],
)
def test_a_pointer_is_split_and_unescaped(pointer: str, path: tuple[str, ...]) -> None:
    (operation,) = parse([change("replace", pointer)])

    assert operation.path == path


def test_a_deeply_nested_value_is_refused() -> None:
    value: list[Any] = []
    for _ in range(200):
        value = [value]

    with pytest.raises(Invalid, match="more than 16 levels"):
        parse([change("add", "/locations/-", value)])


@pytest.mark.parametrize("text", ["\x00", "\U0001f600"])
def test_characters_are_checked_also_within_locations(text: str) -> None:
    with pytest.raises(Invalid):
        parse(
            [change("add", "/locations/-", {"url": "http://x", "metadata": {text: 1}})]
        )


# Attributes


def test_no_operation_changes_nothing() -> None:
    assert plan() == (Changes(), [])


@pytest.mark.parametrize("op", ["add", "replace"])
def test_an_attribute_is_set(op: str) -> None:
    changes, _ = plan(change(op, "/min_ram", 1.0), change(op, "/tags", ["b", "a", "b"]))

    assert changes == Changes(fields={"min_ram": 1, "tags": ["a", "b"]})


def test_the_last_operation_wins() -> None:
    changes, _ = plan(change("replace", "/name", "a"), change("replace", "/name", None))

    assert changes.fields == {"name": None}


def test_an_attribute_cannot_be_removed() -> None:
    with pytest.raises(Forbidden, match="Property tags may not be removed."):
        plan(change("remove", "/tags"))


def test_in_the_draft_add_does_not_overwrite_an_attribute() -> None:
    with pytest.raises(Conflict, match="Property name already present."):
        plan({"add": "/name", "value": "x"}, media_type=V2_0)


def test_in_the_draft_an_attribute_can_be_replaced() -> None:
    changes, _ = plan({"replace": "/name", "value": "x"}, media_type=V2_0)

    assert changes.fields == {"name": "x"}


@pytest.mark.parametrize("op", ["add", "replace"])
def test_every_way_to_give_an_image_away_is_reported(op: str) -> None:
    changes, _ = plan(change(op, "/owner", None))

    assert changes.fields == {"owner": None}


READ_ONLY = [*attributes.READ_ONLY, *attributes.READ_ONLY_ONCE_CREATED]


@pytest.mark.parametrize("op", ["add", "replace", "remove"])
@pytest.mark.parametrize("name", sorted(READ_ONLY))
def test_a_read_only_attribute_is_refused(op: str, name: str) -> None:
    with pytest.raises(Forbidden, match=f"Attribute '{name}' is read-only."):
        plan(change(op, f"/{name}"))


@pytest.mark.parametrize("op", ["add", "replace", "remove"])
@pytest.mark.parametrize("name", ["location", "deleted", "deleted_at", "os_glance_x"])
def test_a_reserved_name_is_refused(op: str, name: str) -> None:
    with pytest.raises(Forbidden, match=f"Attribute '{name}' is reserved."):
        plan(change(op, f"/{name}"))


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("/name", 1),
        ("/min_disk", -1),
        ("/protected", "yes"),
        ("/visibility", "all"),
        ("/tags", "a"),
        ("/tags", [""]),
        ("/name", "\U0001f600"),
    ],
)
def test_a_bad_value_is_refused(path: str, value: object) -> None:
    with pytest.raises(Invalid):
        plan(change("replace", path, value))


@pytest.mark.parametrize("path", ["/tags/-", "/tags/0", "/name/x", "/os_distro/x"])
def test_nothing_but_locations_has_parts(path: str) -> None:
    with pytest.raises(Invalid, match="Invalid JSON pointer for this resource"):
        plan(change("add", path))


@pytest.mark.parametrize(
    "name", ["image_id", "member", "delete", "context", "pk", "pinned", "__class__"]
)
def test_what_is_no_attribute_of_the_schema_is_a_custom_property(name: str) -> None:
    changes, _ = plan(change("add", f"/{name}"))

    assert changes == Changes(properties={name: "x"})


# Custom properties


def test_a_property_is_added() -> None:
    changes, _ = plan(change("add", "/os_distro", "debian"))

    assert changes == Changes(properties={"os_distro": "debian"})


def test_add_overwrites_a_property() -> None:
    changes, _ = plan(change("add", "/a", "new"), a="old", b="old")

    assert changes == Changes(properties={"a": "new"})


def test_in_the_draft_add_does_not_overwrite_a_property() -> None:
    with pytest.raises(Conflict, match="Property a already present."):
        plan({"add": "/a", "value": "new"}, media_type=V2_0, a="old")


@pytest.mark.parametrize("op", ["replace", "remove"])
def test_a_missing_property_is_a_conflict(op: str) -> None:
    with pytest.raises(Conflict, match="Property a does not exist."):
        plan(change(op, "/a"))


def test_a_property_is_removed() -> None:
    changes, _ = plan(change("remove", "/a"), a="1", b="2")

    assert changes == Changes(removed={"a"})


def test_operations_see_what_those_before_them_did() -> None:
    changes, _ = plan(
        change("remove", "/a"),
        change("add", "/a", "again"),
        change("add", "/b", "for a moment"),
        change("remove", "/b"),
        a="1",
    )

    assert changes == Changes(properties={"a": "again"})


def test_a_property_that_was_removed_is_missing_from_then_on() -> None:
    with pytest.raises(Conflict):
        plan(change("remove", "/a"), change("replace", "/a"), a="1")


@pytest.mark.parametrize("value", [None, 1, True, ["x"], {}])
def test_the_value_of_a_property_is_a_string(value: object) -> None:
    with pytest.raises(Invalid):
        plan(change("add", "/a", value))


@pytest.mark.parametrize("op", ["add", "replace", "remove"])
def test_the_name_of_a_property_has_a_limit(op: str) -> None:
    with pytest.raises(Invalid):
        plan(change(op, "/" + "a" * 256))


def test_planning_leaves_the_image_alone() -> None:
    properties = {"a": "1"}

    patch.plan(parse([change("remove", "/a")]), properties)

    assert properties == {"a": "1"}


# Locations


def test_changes_of_locations_come_in_order() -> None:
    changes, locations = plan(
        change("add", "/locations/-", {"url": "http://a"}),
        change("add", "/locations/3", {"url": "http://b"}),
        change("remove", "/locations/0"),
        change("replace", "/locations", []),
    )

    assert changes == Changes()
    assert locations == [
        LocationOperation("add", None, {"url": "http://a"}),
        LocationOperation("add", 3, {"url": "http://b"}),
        LocationOperation("remove", 0, None),
        LocationOperation("replace", None, []),
    ]


def test_the_draft_speaks_of_locations_too() -> None:
    _, locations = plan({"add": "/locations/-", "value": {}}, media_type=V2_0)

    assert locations == [LocationOperation("add", None, {})]


@pytest.mark.parametrize(
    ("op", "path"),
    [
        ("add", "/locations"),
        ("add", "/locations/x"),
        ("add", "/locations/-1"),
        ("add", "/locations/1.0"),
        ("add", "/locations/٣"),
        ("add", "/locations/" + "1" * 1000),
        ("add", "/locations/0/url"),
        ("remove", "/locations"),
        ("remove", "/locations/-"),
        ("replace", "/locations/0"),
        ("replace", "/locations/-"),
    ],
)
def test_a_pointer_to_no_location_is_refused(op: str, path: str) -> None:
    with pytest.raises(Invalid, match="Invalid JSON pointer for this resource"):
        plan(change(op, path))


# Anything at all

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=8,
)
POINTERS = st.sampled_from(
    ["/name", "/tags", "/min_ram", "/a", "/b", "/locations/-", "/locations", "/size"]
) | st.text("/~01- aé\x00", max_size=8).map(lambda text: f"/{text}")
OPS = st.sampled_from(["add", "remove", "replace", "test"])
OPERATIONS = st.lists(
    st.fixed_dictionaries(
        {"op": OPS, "path": POINTERS | JSON}, optional={"value": JSON}
    )
    | st.dictionaries(OPS | st.just("value"), POINTERS | JSON)
    | JSON,
    max_size=5,
)


@given(OPERATIONS | JSON, st.sampled_from([V2_1, V2_0]))
def test_whatever_document_is_sent_is_planned_or_refused(
    document: Any, media_type: str
) -> None:
    body = json.dumps(document).encode("utf-8", "surrogatepass")

    try:
        changes, _ = patch.plan(patch.parse(media_type, body), {"a": "1"})
    except ImageError:
        return
    assert set(changes.fields) <= patch.CHANGEABLE
    assert not changes.removed & set(changes.properties)


@given(st.binary(), st.sampled_from([V2_1, V2_0]) | st.text())
def test_whatever_bytes_are_sent_are_read_or_refused(body: bytes, kind: str) -> None:
    with suppress(ImageError):
        patch.parse(kind, body)
