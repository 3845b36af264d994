"""What an image's attributes, properties and tags may be."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from images import attributes, custom_properties
from images.errors import Forbidden, ImageError, Invalid, OverLimit

REFUSED_CHARACTERS = ["\x00", "\ud800", "\udfff", "\U0001f600"]
IMAGE_ID = "0123abCD-89ab-cdef-0123-456789abcdeF"

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4)
    ),
    max_leaves=12,
)
KNOWN_NAMES = st.sampled_from(
    sorted(
        attributes.BASE
        | attributes.READ_ONLY
        | attributes.READ_ONLY_ONCE_CREATED
        | attributes.RESERVED
    )
)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", None),
        ("name", ""),
        ("name", "é" * 255),
        ("owner", None),
        ("disk_format", None),
        ("disk_format", "qcow2"),
        ("container_format", "docker"),
        ("visibility", "community"),
        ("protected", True),
        ("os_hidden", False),
        ("min_ram", 0),
        ("min_disk", 2147483647),
        ("id", IMAGE_ID),
    ],
)
def test_a_good_value_stays_as_it_is(name: str, value: object) -> None:
    assert attributes.clean_fields({name: value}) == {name: value}


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", 1),
        ("name", "x" * 256),
        ("owner", "x" * 256),
        ("owner", ["a"]),
        ("disk_format", "RAW"),
        ("disk_format", {}),
        ("disk_format", ""),
        ("container_format", 0),
        ("visibility", None),
        ("visibility", "all"),
        ("protected", 1),
        ("protected", "true"),
        ("protected", None),
        ("os_hidden", 0.0),
        ("min_ram", True),
        ("min_ram", "1"),
        ("min_ram", None),
        ("min_ram", 1.5),
        ("min_disk", float("nan")),
        ("min_disk", float("inf")),
        ("min_disk", -1),
        ("min_disk", 2147483648),
        ("min_disk", 1e308),
        ("id", None),
        ("id", IMAGE_ID.replace("-", "")),
        ("id", f"{IMAGE_ID}\n"),
        ("id", f"{{{IMAGE_ID}}}"),
        ("tags", "abc"),
        ("status", "active"),
        ("nonsense", "x"),
    ],
)
def test_a_bad_value_is_refused(name: str, value: object) -> None:
    with pytest.raises(Invalid):
        attributes.clean_fields({name: value})


def test_a_float_without_a_fraction_is_an_integer() -> None:
    cleaned = attributes.clean_fields({"min_ram": 512.0})

    assert repr(cleaned["min_ram"]) == "512"


@pytest.mark.parametrize(
    ("value", "reason"),
    [(-1, "Cannot be a negative value"), (2**31, "Cannot be greater than 2147483647")],
)
def test_a_number_out_of_range_is_told_with_its_name(value: int, reason: str) -> None:
    with pytest.raises(Invalid) as refusal:
        attributes.clean_fields({"min_disk": value})

    expected = f"Invalid value '{value}' for parameter 'min_disk': {reason}"
    assert str(refusal.value) == expected


@pytest.mark.parametrize("character", REFUSED_CHARACTERS)
def test_characters_that_not_every_database_keeps_are_refused(character: str) -> None:
    text = f"a{character}b"

    with pytest.raises(Invalid):
        attributes.clean_fields({"name": text})
    with pytest.raises(Invalid):
        custom_properties.clean_properties({text: "value"})
    with pytest.raises(Invalid):
        custom_properties.clean_properties({"name_of_it": text})
    with pytest.raises(Invalid):
        attributes.clean_tags([text])


def test_the_last_characters_of_the_basic_plane_are_kept() -> None:
    assert attributes.clean_text("\ud7ff\ue000\uffff", "text") == "\ud7ff\ue000\uffff"


@pytest.mark.parametrize("value", [None, 1, True, ["a"], {}])
def test_the_value_of_a_property_is_a_string(value: object) -> None:
    with pytest.raises(Invalid, match="os_distro"):
        custom_properties.clean_properties({"os_distro": value})


def test_the_value_of_a_property_may_be_long_or_empty() -> None:
    properties = {"long": "x" * custom_properties.MAX_VALUE, "empty": ""}

    assert custom_properties.clean_properties(properties) == properties
    with pytest.raises(Invalid):
        custom_properties.clean_properties(
            {"longer": "x" * (custom_properties.MAX_VALUE + 1)}
        )


@pytest.mark.parametrize("name", ["", "x" * 256])
def test_the_name_of_a_property_has_1_to_255_characters(name: str) -> None:
    with pytest.raises(Invalid):
        custom_properties.clean_properties({name: "value"})


@pytest.mark.parametrize("name", ["name", "tags", "id", "os_hash_value"])
def test_a_property_cannot_have_the_name_of_an_attribute(name: str) -> None:
    with pytest.raises(Invalid):
        custom_properties.clean_properties({name: "value"})


@pytest.mark.parametrize("name", ["size", "stores", "os_glance_import_task"])
def test_a_property_cannot_have_a_name_of_the_service(name: str) -> None:
    with pytest.raises(Forbidden):
        custom_properties.clean_properties({name: "value"})


def test_the_services_own_properties_do_not_count() -> None:
    assert custom_properties.counted(["os_distro", "os_glance_import_task"]) == 1


def test_tags_are_sorted_and_each_is_there_once() -> None:
    assert attributes.clean_tags(["b", "a", "b"]) == ["a", "b"]


@pytest.mark.parametrize("tags", [None, "ab", {"a": 1}, [""], [None], ["x" * 256]])
def test_bad_tags_are_refused(tags: object) -> None:
    with pytest.raises(Invalid):
        attributes.clean_tags(tags)


def test_only_different_tags_count_for_the_limit() -> None:
    tags = [str(number) for number in range(128)]

    assert len(attributes.clean_tags(tags + tags)) == 128
    with pytest.raises(OverLimit, match="tags. Attempted: 129, Maximum: 128"):
        attributes.clean_tags([*tags, "one more"])


@pytest.mark.parametrize("name", sorted(attributes.READ_ONLY))
def test_a_read_only_attribute_is_nobodys_to_set(name: str) -> None:
    with pytest.raises(Forbidden, match=f"^Attribute '{name}' is read-only.$"):
        attributes.check_settable(name)


@pytest.mark.parametrize(
    "name", [*sorted(attributes.RESERVED), "os_glance", "os_glance_x"]
)
def test_a_reserved_name_is_nobodys_to_set(name: str) -> None:
    with pytest.raises(Forbidden, match=f"^Attribute '{name}' is reserved.$"):
        attributes.check_settable(name)


@pytest.mark.parametrize("name", ["id", "os_hash_algo", "os_hash_value"])
def test_some_attributes_can_be_given_but_not_changed(name: str) -> None:
    attributes.check_settable(name)

    with pytest.raises(Forbidden, match="is read-only"):
        attributes.check_changeable(name)


def test_a_new_image_is_split_into_attributes_properties_and_tags() -> None:
    document = {
        "name": "sample",
        "min_ram": 1.0,
        "os_distro": "debian",
        "is_public": "yes",
        "tags": ["b", "a", "a"],
    }

    assert custom_properties.parse_new_image(document) == (
        {"name": "sample", "min_ram": 1},
        {"os_distro": "debian", "is_public": "yes"},
        ["a", "b"],
    )


def test_a_new_image_needs_nothing() -> None:
    assert custom_properties.parse_new_image({}) == ({}, {}, [])


def test_hashes_of_a_new_image_are_dropped_without_a_word() -> None:
    document = {"os_hash_algo": "sha512", "os_hash_value": 7}

    assert custom_properties.parse_new_image(document) == ({}, {}, [])


@pytest.mark.parametrize("document", [None, [], [{}], "text", 1, True])
def test_a_new_image_is_an_object(document: object) -> None:
    with pytest.raises(Invalid, match="Unexpected body type"):
        custom_properties.parse_new_image(document)


@pytest.mark.parametrize("name", ["size", "status", "locations", "os_glance_x"])
def test_a_new_image_cannot_bring_what_the_service_sets(name: str) -> None:
    with pytest.raises(Forbidden):
        custom_properties.parse_new_image({name: 0})


@given(JSON | st.dictionaries(KNOWN_NAMES | st.text(), JSON, max_size=6))
def test_whatever_is_sent_as_a_new_image_is_taken_or_refused(document: Any) -> None:
    try:
        fields, properties, tags = custom_properties.parse_new_image(document)
    except ImageError:
        return
    assert set(fields) <= attributes.BASE
    assert not set(properties) & (attributes.BASE | attributes.READ_ONLY)
    assert tags == sorted(set(tags))


@pytest.mark.parametrize(
    ("name", "check"),
    [
        ("PROPERTY", custom_properties.check_property_count),
        ("TAG", attributes.check_tag_count),
        ("MEMBER", attributes.check_member_count),
        ("LOCATION", attributes.check_location_count),
    ],
)
def test_the_operator_sets_the_limits_of_an_image(
    name: str, check: Any, settings: Any
) -> None:
    setattr(settings, f"IMAGECATALOG_IMAGE_{name}_QUOTA", 2)
    with pytest.raises(OverLimit, match="Attempted: 3, Maximum: 2"):
        check(3)
    check(2)

    setattr(settings, f"IMAGECATALOG_IMAGE_{name}_QUOTA", -1)
    check(1_000_000)
