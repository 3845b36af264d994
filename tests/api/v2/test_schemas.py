"""The schemas fit the images that are served."""

from __future__ import annotations

from typing import Any

import jsonschema_rs
import pytest

from images import attributes
from images.api.v2 import schemas

IMAGE = {
    "os_distro": "debian",
    "name": None,
    "disk_format": None,
    "container_format": "bare",
    "visibility": "shared",
    "size": None,
    "virtual_size": None,
    "status": "queued",
    "checksum": None,
    "protected": False,
    "min_ram": 0,
    "min_disk": 0,
    "owner": None,
    "os_hidden": False,
    "os_hash_algo": None,
    "os_hash_value": None,
    "id": "f2de0000-0000-4000-8000-00000000abcd",
    "created_at": "2026-11-23T18:20:00Z",
    "updated_at": "2026-11-23T18:20:00Z",
    "locations": [{"url": "http://example.org/a", "metadata": {"store": "http"}}],
    "tags": ["x"],
    "self": "/v2/images/f2de0000-0000-4000-8000-00000000abcd",
    "file": "/v2/images/f2de0000-0000-4000-8000-00000000abcd/file",
    "schema": "/v2/schemas/image",
}


def valid(document: dict[str, Any], schema: dict[str, Any]) -> bool:
    return jsonschema_rs.Draft4Validator(schema).is_valid(document)


def test_an_image_fits_its_schema() -> None:
    assert valid(IMAGE, schemas.image())


@pytest.mark.parametrize(
    "change",
    [
        {"custom": None},
        {"custom": 1},
        {"id": "no uuid"},
        {"status": "lost"},
        {"visibility": "all"},
        {"disk_format": "RAW"},
        {"min_ram": -1},
        {"tags": ["x" * 256]},
    ],
)
def test_what_is_no_image_does_not_fit(change: dict[str, Any]) -> None:
    assert not valid({**IMAGE, **change}, schemas.image())


def test_a_page_of_images_fits_its_schema() -> None:
    page = {"images": [IMAGE], "first": "/v2/images", "schema": "/v2/schemas/images"}

    assert valid(page, schemas.images())


def test_what_nobody_may_set_is_marked() -> None:
    properties = schemas.image()["properties"]
    marked = {name for name, field in properties.items() if field.get("readOnly")}

    assert marked == attributes.READ_ONLY | {"os_hash_algo", "os_hash_value"}


def test_every_attribute_is_described() -> None:
    properties = schemas.image()["properties"]

    assert set(properties) == (
        attributes.BASE
        | attributes.READ_ONLY
        | attributes.READ_ONLY_ONCE_CREATED
        | {"locations"}
    )
    assert all(field["description"] for field in properties.values())


def test_custom_properties_are_strings_and_links_are_there() -> None:
    schema = schemas.image()

    assert schema["name"] == "image"
    assert schema["additionalProperties"] == {"type": "string"}
    assert {link["rel"] for link in schema["links"]} == {
        "self",
        "enclosure",
        "describedby",
    }


def test_null_comes_first_among_the_formats() -> None:
    properties = schemas.image()["properties"]

    assert properties["disk_format"]["enum"] == [None, *attributes.DISK_FORMATS]
    assert properties["container_format"]["enum"] == [
        None,
        *attributes.CONTAINER_FORMATS,
    ]


def test_documents_are_the_callers_own() -> None:
    schemas.image()["properties"].clear()

    assert schemas.image()["properties"]
