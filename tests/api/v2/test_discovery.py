from __future__ import annotations

from typing import Any

import pytest

from images.api.v2 import schemas


@pytest.mark.parametrize("who", ["admin", "member", "reader"])
@pytest.mark.parametrize("name", ["image", "images", "member", "members"])
def test_whoever_is_signed_in_gets_a_schema(name: str, who: str, api: Any) -> None:
    response = getattr(api, who).get(f"/v2/schemas/{name}")

    assert (response.status_code, response["Content-Type"]) == (200, "application/json")
    assert response.json()["name"] == name


def test_a_schema_needs_a_token(client: Any) -> None:
    assert client.get("/v2/schemas/image").status_code == 401


def test_a_page_consists_of_images(api: Any) -> None:
    page = api.member.get("/v2/schemas/images").json()

    image = api.member.get("/v2/schemas/image").json()
    assert page["properties"]["images"]["items"] == image == schemas.image()


def test_the_schema_of_members_is_made_of_members(api: Any) -> None:
    page = api.member.get("/v2/schemas/members").json()

    member = api.member.get("/v2/schemas/member").json()
    assert page["properties"]["members"]["items"] == member == schemas.member()
    assert page["links"] == [{"rel": "describedby", "href": "{schema}"}]
    assert member.keys() == {"name", "properties"}
    assert member["properties"]["status"]["enum"] == ["pending", "accepted", "rejected"]


def test_the_schema_tells_what_an_image_may_be(api: Any) -> None:
    properties = api.member.get("/v2/schemas/image").json()["properties"]

    assert properties["visibility"]["enum"] == [
        "community",
        "public",
        "private",
        "shared",
    ]
    assert properties["status"]["enum"] == (
        [
            "queued",
            "saving",
            "uploading",
            "importing",
            "active",
            "deactivated",
            "killed",
            "pending_delete",
            "deleted",
        ]
    )
    assert properties["disk_format"]["enum"][0] is None
    assert properties["checksum"]["readOnly"] is True
    assert properties["locations"]["items"]["required"] == ["url", "metadata"]


def test_every_key_of_an_image_is_in_its_schema(api: Any, make_image: Any) -> None:
    shown = api.admin.get(f"/v2/images/{make_image('active').pk}").json()

    assert shown.keys() <= schemas.image()["properties"].keys()


@pytest.mark.parametrize("name", ["nothing", "image/", "images/x", ""])
def test_an_unknown_schema_is_404(name: str, api: Any) -> None:
    assert api.member.get(f"/v2/schemas/{name}").status_code == 404


METADEFS = {
    "namespace": ["namespace"],
    "object": ["name"],
    "property": ["type", "title", "name"],
    "tag": ["name"],
    "resource_type": ["name"],
}


@pytest.mark.parametrize(("name", "required"), METADEFS.items())
def test_the_schemas_of_metadata_definitions(
    name: str, required: list[str], api: Any
) -> None:
    plural = "properties" if name == "property" else f"{name}s"
    schema = api.reader.get(f"/v2/schemas/metadefs/{name}").json()
    collection = api.reader.get(f"/v2/schemas/metadefs/{plural}").json()

    shown = "resource_type_association" if name == "resource_type" else name
    assert schema["name"] == shown
    assert (schema["required"], schema["additionalProperties"]) == (required, False)
    (field,) = collection["properties"].keys() - {"first", "next", "schema"}
    listed = collection["properties"][field]
    assert collection["name"] == field
    assert schema.pop("definitions", None) == collection.get("definitions")
    if name == "property":
        schema["required"].remove("name")  # in the collection it is the key
    assert listed.get("items", listed.get("additionalProperties")) == schema


def test_the_limits_of_definitions_are_in_their_schemas(api: Any) -> None:
    properties = api.reader.get("/v2/schemas/metadefs/namespace").json()["properties"]
    definition = api.reader.get("/v2/schemas/metadefs/property").json()

    limits = {
        name: it["maxLength"] for name, it in properties.items() if "maxLength" in it
    }
    assert limits == {
        "namespace": 80,
        "display_name": 80,
        "description": 500,
        "owner": 255,
    }
    assert definition["properties"]["type"]["enum"] == [
        "array",
        "boolean",
        "integer",
        "number",
        "object",
        "string",
        None,
    ]
    assert definition["definitions"].keys() == {
        "positiveInteger",
        "positiveIntegerDefault0",
        "stringArray",
        "property",
    }
