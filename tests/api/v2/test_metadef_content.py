"""Objects, properties, tags and resource types of a namespace."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse

from images.models import MetadefNamespace

PATH = "/v2/metadefs/namespaces/OS::Test"
BUS = {"title": "Bus", "type": "string", "enum": ["virtio", "scsi"]}
DISK = {
    "name": "Disk",
    "description": "A disk.",
    "required": ["bus"],
    "properties": {"bus": BUS},
}

Send = Callable[..., HttpResponse]


@pytest.fixture(autouse=True)
def namespace(db: None) -> MetadefNamespace:
    return MetadefNamespace.objects.create(namespace="OS::Test", visibility="public")


@pytest.fixture
def send(api: Any) -> Send:
    """``send("POST", "/objects", document)``: a request of an admin."""

    def send(
        method: str, path: str, document: Any = None, **headers: str
    ) -> HttpResponse:
        body = "" if document is None else json.dumps(document)
        return api.admin.generic(
            method, f"{PATH}{path}", body, "application/json", headers=headers
        )

    return send


@pytest.mark.parametrize(
    ("kind", "document", "renamed"),
    [
        ("objects", DISK, {"name": "Drive"}),
        ("properties", {"name": "bus", **BUS}, {"name": "new", **BUS, "title": "B"}),
    ],
)
def test_the_life_of_an_object_and_of_a_property(
    kind: str, document: Any, renamed: Any, send: Send, api: Any
) -> None:
    created = send("POST", f"/{kind}", document)
    assert (created.status_code, created.json() | document) == (201, created.json())
    assert send("POST", f"/{kind}", document).status_code == 409
    one = f"/{kind}/{document['name']}"
    assert api.member.get(f"{PATH}{one}").json() == created.json()

    other = {**document, "name": "other"}
    assert send("POST", f"/{kind}", other).status_code == 201
    assert send("PUT", one, other).status_code == 409

    changed = send("PUT", one, renamed)
    assert (changed.status_code, changed.json() | renamed) == (200, changed.json())
    assert api.member.get(f"{PATH}{one}").status_code == 404
    one = f"/{kind}/{renamed['name']}"
    assert api.member.get(f"{PATH}{one}").json() == changed.json()

    assert send("DELETE", one).status_code == 204
    assert send("DELETE", one).status_code == 404
    assert send("PUT", one, renamed).status_code == 404
    assert send("DELETE", f"/{kind}").status_code == 204
    assert not api.member.get(f"{PATH}/{kind}").json()[kind]


def test_an_object_has_times_and_its_path(send: Send) -> None:
    created = send("POST", "/objects", DISK)

    document = created.json()
    assert document["self"] == f"{PATH}/objects/Disk"
    assert document["schema"] == "/v2/schemas/metadefs/object"
    assert document["created_at"][10::9] == document["updated_at"][10::9] == "TZ"
    assert created["Location"].endswith(f"{PATH}/objects/Disk")


def test_a_replaced_object_loses_what_is_left_out(send: Send) -> None:
    send("POST", "/objects", DISK)

    changed = send("PUT", "/objects/Disk", {"name": "Disk"}).json()

    assert (changed["required"], changed["properties"]) == ([], {})
    assert "description" not in changed


def test_lists_of_objects_and_properties(send: Send, api: Any) -> None:
    send("POST", "/objects", DISK)
    send("POST", "/properties", {"name": "bus", **BUS})

    objects = api.member.get(f"{PATH}/objects").json()
    properties = api.member.get(f"{PATH}/properties").json()

    assert objects["schema"] == "v2/schemas/metadefs/objects"
    assert [it["name"] for it in objects["objects"]] == ["Disk"]
    assert properties == {"properties": {"bus": BUS}}


@pytest.mark.parametrize(
    ("path", "document", "code"),
    [
        ("/objects", {}, 400),
        ("/objects", {"name": "x", "unknown": 1}, 400),
        ("/objects", {"name": "x" * 81}, 400),
        ("/objects", {"name": "x/"}, 400),
        ("/objects", {"name": "x", "self": "x"}, 403),
        ("/properties", {"title": "X", "type": "string"}, 400),
        ("/properties", {"name": "x", "type": "string"}, 400),
        ("/properties", {"name": "x", "title": "X"}, 400),
        ("/properties", {"name": "x", "title": "X", "type": "text"}, 400),
        ("/properties", {**BUS, "name": "x", "created_at": "x"}, 403),
        ("/tags", {"tags": [{}]}, 400),
        ("/tags", {}, 400),
        ("/tags", {"created_at": "x"}, 403),
        ("/resource_types", {}, 400),
        ("/resource_types", {"name": "x", "prefix": 1}, 400),
        ("/resource_types", {"name": "x", "updated_at": "x"}, 403),
        ("/tags/" + "x" * 81, None, 400),
        ("/tags/x", {"name": "x"}, 400),
    ],
)
def test_a_malformed_document_is_refused(
    path: str, document: Any, code: int, send: Send
) -> None:
    assert send("POST", path, document).status_code == code


@pytest.mark.parametrize(
    ("method", "path", "document", "what"),
    [
        ("PUT", "", {}, "namespace"),
        ("POST", "/objects", {}, "name of an object"),
        ("POST", "/properties", BUS, "name of a property"),
        ("POST", "/tags", {"tags": [{}]}, "name of a tag"),
        ("POST", "/resource_types", {}, "name of a resource type"),
    ],
)
def test_a_refusal_says_that_the_name_is_missing(
    method: str, path: str, document: Any, what: str, send: Send
) -> None:
    response = send(method, path, document)

    assert f"Invalid {what}: it is missing." in response.content.decode()


@pytest.mark.parametrize(
    "path", ["/objects", "/properties", "/tags", "/resource_types"]
)
def test_a_namespace_that_is_missing_is_404(path: str, send: Send, api: Any) -> None:
    other = PATH.replace("Test", "Other")

    assert api.member.get(f"{other}{path}").status_code == 404
    response = api.admin.generic("POST", f"{other}{path}", "{}", "application/json")
    assert response.status_code == 404


def test_a_property_is_found_by_the_name_it_has_on_a_resource(
    send: Send, api: Any
) -> None:
    send("POST", "/properties", {"name": "bus", **BUS})
    send("POST", "/resource_types", {"name": "OS::Glance::Image", "prefix": "hw_"})
    send("POST", "/resource_types", {"name": "OS::Plain"})

    def code(name: str, kind: str) -> int:
        query = f"?resource_type={kind}"
        return api.member.get(f"{PATH}/properties/{name}{query}").status_code

    assert code("hw_bus", "OS::Glance::Image") == 200
    assert code("bus", "OS::Glance::Image") == 404
    assert code("bus", "OS::Plain") == 200
    assert code("bus", "OS::Unknown") == 404


# Tags


def tags(api: Any, query: str = "") -> list[str]:
    response = api.member.get(f"{PATH}/tags{query}")
    assert response.status_code == 200, response.content
    return [tag["name"] for tag in response.json()["tags"]]


CONTENT = {
    "/objects": DISK,
    "/properties": {"name": "bus", **BUS},
    "/tags": {"tags": [{"name": "fast"}]},
}
ONE = {"/objects/Disk": DISK, "/properties/bus": BUS, "/tags/fast": {"name": "fast"}}


@pytest.fixture
def content(send: Send) -> None:
    """An object, a property and a tag."""
    for path, document in CONTENT.items():
        assert send("POST", path, document).status_code == 201


@pytest.mark.parametrize(
    ("path", "document", "code"),
    [
        ("/objects/Disk", {}, 400),
        ("/objects/Disk", {"name": "x" * 81}, 400),
        ("/objects/Disk", {"name": "Disk", "self": "x"}, 403),
        ("/properties/bus", {**BUS, "name": "bus", "type": "text"}, 400),
        ("/properties/bus", {**BUS, "name": "bus", "created_at": "x"}, 403),
        ("/tags/fast", {}, 400),
        ("/tags/fast", {"name": "x" * 81}, 400),
        ("/tags/fast", {"name": "fast", "updated_at": "x"}, 403),
    ],
)
def test_a_malformed_replacement_is_refused(
    path: str, document: Any, code: int, content: None, send: Send, api: Any
) -> None:
    before = api.member.get(f"{PATH}{path}").json()

    assert send("PUT", path, document).status_code == code
    assert api.member.get(f"{PATH}{path}").json() == before


@pytest.mark.parametrize("path", ONE)
def test_only_admins_replace_and_delete_what_members_read(
    path: str, content: None, api: Any
) -> None:
    body = json.dumps({"name": path.rpartition("/")[2], **ONE[path]})

    put = api.member.generic("PUT", f"{PATH}{path}", body, "application/json")

    deleted = api.member.delete(f"{PATH}{path}")
    assert (put.status_code, deleted.status_code) == (403, 403)
    assert api.member.get(f"{PATH}{path}").status_code == 200


@pytest.mark.parametrize("path", ONE)
def test_what_is_missing_is_neither_replaced_nor_deleted(path: str, send: Send) -> None:
    document = {"name": path.rpartition("/")[2], **ONE[path]}

    assert send("PUT", path, document).status_code == 404
    assert send("DELETE", path).status_code == 404


@pytest.mark.parametrize("path", CONTENT)
def test_all_of_a_kind_are_deleted_together(
    path: str, content: None, send: Send, api: Any
) -> None:
    missing = api.admin.delete(f"/v2/metadefs/namespaces/OS::Nothing{path}")

    assert (send("DELETE", path).status_code, missing.status_code) == (204, 404)
    assert not api.member.get(f"{PATH}{path}").json()[path[1:]]


def test_the_life_of_a_tag(send: Send, api: Any) -> None:
    created = send("POST", "/tags/Fast")
    assert created.status_code == 201
    assert created.json().keys() == {"name", "created_at", "updated_at"}
    assert send("POST", "/tags/fast").status_code == 409
    send("POST", "/tags/slow")

    assert send("PUT", "/tags/slow", {"name": "FAST"}).status_code == 409
    assert send("PUT", "/tags/Fast", {"name": "fast"}).json()["name"] == "fast"
    assert api.member.get(f"{PATH}/tags/fast").status_code == 200
    assert api.member.get(f"{PATH}/tags/Fast").status_code == 404
    assert send("DELETE", "/tags/fast").status_code == 204
    assert tags(api) == ["slow"]


def test_a_list_of_tags_replaces_all_or_is_appended(send: Send, api: Any) -> None:
    first = {"tags": [{"name": "a"}, {"name": "b"}]}
    assert send("POST", "/tags", first).json() == first
    assert send("POST", "/tags", {"tags": [{"name": "c"}]}).status_code == 201
    assert tags(api) == ["c"]

    append = {"X-Openstack-Append": "True"}
    assert send("POST", "/tags", {"tags": [{"name": "d"}]}, **append).status_code == 201
    assert tags(api) == ["d", "c"]
    assert send("POST", "/tags", {"tags": [{"name": "C"}]}, **append).status_code == 409
    twice = {"tags": [{"name": "x"}, {"name": "X"}]}
    assert send("POST", "/tags", twice).status_code == 409
    assert tags(api) == ["d", "c"]


def test_tags_are_paged_and_sorted(send: Send, api: Any) -> None:
    for name in "bca":
        send("POST", f"/tags/{name}")

    assert tags(api) == ["a", "c", "b"]
    assert tags(api, "?sort_key=name&sort_dir=asc") == ["a", "b", "c"]
    assert tags(api, "?limit=1&marker=a") == ["c"]
    assert tags(api, "?sort_key=name&sort_dir=desc&marker=b") == ["a"]
    assert api.member.get(f"{PATH}/tags?marker=x").status_code == 404
    assert api.member.get(f"{PATH}/tags?limit=x").status_code == 400
    assert api.member.get(f"{PATH}/tags?sort_key=x").status_code == 400


# Resource types


def test_a_namespace_is_associated_with_resource_types(send: Send, api: Any) -> None:
    document = {"name": "OS::New", "prefix": "x_", "properties_target": "image"}

    created = send("POST", "/resource_types", document)

    assert (created.status_code, created.json() | document) == (201, created.json())
    assert send("POST", "/resource_types", {"name": "OS::New"}).status_code == 409
    listed = api.member.get(f"{PATH}/resource_types").json()
    assert listed == {"resource_type_associations": [created.json()]}
    types = api.member.get("/v2/metadefs/resource_types").json()["resource_types"]
    assert [it.keys() for it in types] == [{"name", "created_at", "updated_at"}]

    assert send("DELETE", "/resource_types/OS::New").status_code == 204
    assert send("DELETE", "/resource_types/OS::New").status_code == 404
    types = api.member.get("/v2/metadefs/resource_types").json()["resource_types"]
    assert [it["name"] for it in types] == ["OS::New"]
