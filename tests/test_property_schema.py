"""An operator's schema of custom properties: held by every door, and shown to clients."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client

from images import errors, lifecycle
from images.access import Caller
from images.api.v2.patch import V2_1
from images.attributes import Changes

Describe = Callable[[Any], None]
DISTRO = {"type": ["string", "null"], "enum": ["debian", "alpine"]}


@pytest.fixture
def describe(settings: Any, tmp_path: Path) -> Describe:
    """``describe({"os_distro": {…}})`` makes this the file; a text is written as it is."""

    def write(content: Any) -> None:
        path = tmp_path / "schema-image.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        settings.IMAGECATALOG_PROPERTY_SCHEMA = str(path)

    return write


@pytest.mark.parametrize(
    "content", [{"os_distro": DISTRO}, {"properties": {"os_distro": DISTRO}}]
)
def test_a_value_that_is_not_described_is_refused_by_v2(
    content: Any, describe: Describe, client_of: Any, member: Caller
) -> None:
    describe(content)
    client: Client = client_of(member)

    def create(distro: str) -> Any:
        sent = {"os_distro": distro, "other": "any"}
        return client.post("/v2/images", sent, content_type="application/json")

    def patch(distro: str) -> int:
        change = [{"op": "replace", "path": "/os_distro", "value": distro}]
        path = f"/v2/images/{made.json()['id']}"
        return client.patch(path, json.dumps(change), V2_1).status_code

    made = create("debian")
    assert (made.status_code, create("windows").status_code) == (201, 400)
    assert (patch("alpine"), patch("windows")) == (200, 400)


def test_a_value_that_is_not_described_is_refused_by_v1(
    describe: Describe, client_of: Any, member: Caller
) -> None:
    describe({"os_distro": DISTRO})
    client: Client = client_of(member)

    def create(distro: str) -> int:
        sent = {"x-image-meta-property-os_distro": distro}
        return client.generic("POST", "/v1/images", headers=sent).status_code

    assert (create("debian"), create("windows")) == (201, 400)


def test_a_new_image_needs_what_is_required_and_an_old_one_does_not(
    describe: Describe, make_image: Any, member: Caller
) -> None:
    describe({"properties": {"os_distro": DISTRO}, "required": ["os_distro"]})

    with pytest.raises(errors.Invalid, match='"os_distro" is a required property'):
        lifecycle.create({"owner": member.project}, {}, [], member)
    lifecycle.update(make_image().pk, Changes(properties={"other": "any"}), member)


def test_a_refusal_names_the_property_and_not_the_value(
    describe: Describe, make_image: Any, member: Caller
) -> None:
    describe({"kernel_id": {"pattern": "^[0-9]+$"}})
    wrong = Changes(properties={"kernel_id": "x" * 60_000})

    with pytest.raises(errors.Invalid, match="'kernel_id': it does not match") as told:
        lifecycle.update(make_image().pk, wrong, member)

    assert len(str(told.value)) < 200


def test_the_schema_of_images_shows_what_is_described(
    describe: Describe, client_of: Any, member: Caller
) -> None:
    describe({"os_distro": DISTRO})

    shown = client_of(member).get("/v2/schemas/image").json()["properties"]

    assert shown["os_distro"] == DISTRO | {"is_base": False}
    assert "is_base" not in shown["name"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "it is not JSON"),
        ("[" * 100_000, "it is not JSON"),
        ([], "must be an object"),
        ({"name": {}}, "is an attribute"),
        ({"status": {}}, "read-only"),
        ({"cores": {"type": "integer"}}, "'cores' must have the type string"),
        ({"cores": 7}, "'cores' must have the type string"),
        ({"cores": {"pattern": "("}}, "not a JSON schema"),
        ({"properties": {"cores": {}}, "required": "cores"}, "list of names"),
        ({"required": ["name"]}, "'name' is an attribute"),
        ({"required": [7]}, "must be a string"),
    ],
)
@pytest.mark.django_db
def test_a_file_that_is_wrong_stops_every_command(
    content: Any, words: str, describe: Describe
) -> None:
    describe(content)

    with pytest.raises(SystemCheckError, match=words):
        call_command("check")


@pytest.mark.django_db
def test_a_file_that_is_not_there_stops_every_command(settings: Any) -> None:
    settings.IMAGECATALOG_PROPERTY_SCHEMA = "/nowhere/schema-image.json"

    with pytest.raises(SystemCheckError, match="cannot be read: No such file"):
        call_command("check")
