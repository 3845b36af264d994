"""``/v2/metadefs/namespaces``."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from images.models import MetadefNamespace
from tests.definitions import PATH, SIZE, TREE


@pytest.fixture
def send() -> Callable[..., HttpResponse]:
    """``send(api.admin, "POST", path, document)``: a request with a JSON document."""

    def send(client: Client, method: str, path: str, document: Any) -> HttpResponse:
        body = json.dumps(document)
        return client.generic(method, path, body, "application/json")

    return send


@pytest.fixture
def namespace(db: None) -> Callable[..., MetadefNamespace]:
    def make(name: str, **fields: Any) -> MetadefNamespace:
        return MetadefNamespace.objects.create(namespace=name, **fields)

    return make


def names(response: Any) -> list[str]:
    return [it["namespace"] for it in response.json()["namespaces"]]


def test_a_whole_tree_is_created_and_shown(api: Any, send: Any) -> None:
    created = send(api.admin, "POST", PATH, TREE)

    shown = api.member.get(f"{PATH}/OS::Test::Machine")
    assert (created.status_code, shown.status_code) == (201, 200)
    assert created["Location"] == f"http://testserver:80{PATH}/OS::Test::Machine"
    document = shown.json()
    assert document == created.json()
    assert document["owner"] == "project-of-admins"
    assert document["protected"] is False
    assert document["self"] == f"{PATH}/OS::Test::Machine"
    assert document["schema"] == "/v2/schemas/metadefs/namespace"
    assert document["properties"] == {"size": SIZE}
    assert document["tags"] == TREE["tags"]
    (disk,) = document["objects"]
    assert disk["self"] == f"{PATH}/OS::Test::Machine/objects/Disk"
    assert disk["required"] == ["bus"]
    image, volume = document["resource_type_associations"]
    assert (image["name"], image["prefix"]) == ("OS::Glance::Image", "hw_")
    assert volume["properties_target"] == "image"
    assert "prefix" not in volume


def test_a_namespace_without_content_shows_only_what_is_set(
    api: Any, send: Any
) -> None:
    created = send(api.admin, "POST", PATH, {"namespace": "Empty"}).json()

    assert created.keys() == {
        "namespace",
        "visibility",
        "protected",
        "owner",
        "created_at",
        "updated_at",
        "self",
        "schema",
    }
    assert created["visibility"] == "private"
    assert created["created_at"][10::9] == "TZ"


def test_names_of_properties_get_the_prefix_of_a_resource_type(
    api: Any, send: Any
) -> None:
    send(api.admin, "POST", PATH, TREE)
    path = f"{PATH}/OS::Test::Machine"

    shown = api.member.get(f"{path}?resource_type=OS::Glance::Image").json()
    volume = api.member.get(f"{path}?resource_type=OS::Cinder::Volume").json()

    assert shown["properties"].keys() == {"hw_size"}
    assert shown["objects"][0]["properties"].keys() == {"hw_bus"}
    assert shown["objects"][0]["required"] == ["hw_bus"]
    assert volume["properties"].keys() == {"size"}
    assert api.member.get(f"{path}?resource_type=OS::X").status_code == 404


def test_names_are_addressed_url_encoded(api: Any, namespace: Any) -> None:
    namespace("A b::ü%2F?", visibility="public")

    response = api.member.get(f"{PATH}/A%20b%3A%3A%C3%BC%252F%3F")

    assert response.json()["namespace"] == "A b::ü%2F?"


def test_a_replacement_resets_what_it_leaves_out(api: Any, send: Any) -> None:
    send(api.admin, "POST", PATH, {**TREE, "protected": True})

    path = f"{PATH}/OS::Test::Machine"
    changed = send(api.admin, "PUT", path, {"namespace": "Other"})

    assert changed.status_code == 200
    shown = api.admin.get(f"{PATH}/Other").json()
    assert (shown["visibility"], shown["protected"]) == ("private", False)
    assert "display_name" not in shown
    assert shown["properties"] == {"size": SIZE}
    assert api.admin.get(path).status_code == 404


def test_what_was_read_can_be_sent_back(api: Any, send: Any) -> None:
    document = send(api.admin, "POST", PATH, TREE).json()
    for name in ("self", "schema", "created_at", "updated_at"):
        del document[name]

    changed = send(api.admin, "PUT", f"{PATH}/OS::Test::Machine", document)

    assert changed.status_code == 200
    assert "properties" not in changed.json()


@pytest.mark.parametrize("method", ["POST", "PUT"])
def test_a_taken_name_is_a_conflict(
    method: str, api: Any, namespace: Any, send: Any
) -> None:
    namespace("Taken")
    namespace("Mine")

    path = PATH if method == "POST" else f"{PATH}/Mine"
    response = send(api.admin, method, path, {"namespace": "Taken"})

    assert response.status_code == 409
    assert MetadefNamespace.objects.count() == 2


@pytest.mark.parametrize(
    "change",
    [
        {"namespace": "x" * 81},
        {"namespace": ""},
        {"namespace": " "},
        {"namespace": "a/b"},
        {"namespace": None},
        {"namespace": 1},
        {"namespace": "\0"},
        {"namespace": "😀"},
        {"display_name": "x" * 81},
        {"display_name": None},
        {"description": "x" * 501},
        {"visibility": "shared"},
        {"visibility": []},
        {"protected": "true"},
        {"owner": "x" * 256},
        {"unknown": "x"},
        {"tags": "fast"},
        {"tags": ["fast"]},
        {"tags": [{"name": "x" * 81}]},
        {"objects": [{}]},
        {"objects": [{"name": "x", "required": ["a", "a"]}]},
        {"objects": [{"name": "x", "properties": []}]},
        {"resource_type_associations": [{"prefix": "x"}]},
        {"resource_type_associations": [{"name": "x", "prefix": "x" * 81}]},
        {"properties": []},
        {"properties": {"x": {}}},
        {"properties": {"x": {"title": "X"}}},
        {"properties": {"x": {"title": "X", "type": "text"}}},
        {"properties": {"x": {"title": "X", "type": None}}},
        {"properties": {"x": {"title": "X", "type": "string", "enum": "a"}}},
        {"properties": {"x": {"title": "X", "type": "string", "minLength": -1}}},
        {"properties": {"x": {"title": "X", "type": "string", "default": "\0"}}},
        {"properties": {"x": {"title": "X", "type": "string", "other": 1}}},
        {"properties": {"x": {"title": "X", "type": "integer", "minimum": "1"}}},
        {"properties": {"x": {"title": "X", "type": "integer", "maximum": 1e300}}},
        {"properties": {"x": {"title": "X", "type": "array", "items": {"type": 1}}}},
        {"properties": {"x" * 81: {"title": "X", "type": "string"}}},
    ],
)
def test_a_malformed_document_is_refused(change: Any, api: Any, send: Any) -> None:
    response = send(api.admin, "POST", PATH, {"namespace": "N", **change})

    assert response.status_code == 400, response.content
    assert not MetadefNamespace.objects.exists()


def test_a_deep_example_is_refused(api: Any, send: Any) -> None:
    deep: Any = 1
    for _ in range(30):
        deep = [deep]
    schema = {"title": "X", "type": "array", "default": deep}

    document = {"namespace": "N", "properties": {"x": schema}}
    assert send(api.admin, "POST", PATH, document).status_code == 400


@pytest.mark.parametrize("body", ["", "{", "[]", "1", '"x"'])
def test_a_body_that_is_no_object_is_refused(body: str, api: Any) -> None:
    response = api.admin.generic("POST", PATH, body, "application/json")

    assert response.status_code == 400


@pytest.mark.parametrize("name", ["self", "schema", "created_at", "updated_at"])
def test_what_is_read_only_is_forbidden(name: str, api: Any, send: Any) -> None:
    response = send(api.admin, "POST", PATH, {"namespace": "N", name: "x"})

    assert response.status_code == 403


@pytest.mark.parametrize(
    "change",
    [
        {"tags": [{"name": "Fast"}, {"name": "fast"}]},
        {"objects": [{"name": "x"}, {"name": "x"}]},
        {"resource_type_associations": [{"name": "x"}, {"name": "x"}]},
    ],
)
def test_names_that_are_given_twice_are_a_conflict(
    change: Any, api: Any, send: Any
) -> None:
    response = send(api.admin, "POST", PATH, {"namespace": "N", **change})

    assert response.status_code == 409


def test_deletion_takes_the_content_along(api: Any, send: Any) -> None:
    send(api.admin, "POST", PATH, TREE)
    path = f"{PATH}/OS::Test::Machine"

    assert api.admin.delete(path).status_code == 204
    assert api.admin.delete(path).status_code == 404
    assert send(api.admin, "POST", PATH, TREE).status_code == 201


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/objects",
        "/properties",
        "/tags",
        "/objects/Disk",
        "/properties/size",
        "/tags/fast",
        "/resource_types/OS::Glance::Image",
    ],
)
def test_nothing_in_a_protected_namespace_is_deleted(
    path: str, api: Any, send: Any
) -> None:
    send(api.admin, "POST", PATH, {**TREE, "protected": True})
    one = f"{PATH}/OS::Test::Machine"
    before = api.admin.get(one).json()

    assert api.admin.delete(f"{one}{path}").status_code == 403
    assert api.admin.get(one).json() == before


# Who sees what


SEEN = {
    "Own": {"admin", "member", "reader"},
    "Public": {"admin", "member", "reader", "stranger"},
    "Foreign": {"admin"},
    "Nobody's": {"admin"},
}


@pytest.fixture
def namespaces(namespace: Any) -> None:
    namespace("Own", owner="project-a")
    namespace("Public", owner="project-c", visibility="public")
    namespace("Foreign", owner="project-c")
    namespace("Nobody's")


@pytest.mark.parametrize("who", ["admin", "member", "reader", "stranger"])
def test_a_namespace_is_seen_by_its_project_or_by_all(
    who: str, namespaces: None, api: Any
) -> None:
    client = getattr(api, who)
    seen = {name for name in SEEN if who in SEEN[name]}

    assert set(names(client.get(PATH))) == seen
    for name in SEEN:
        code = client.get(f"{PATH}/{name}").status_code
        assert code == (200 if name in seen else 404), name


@pytest.mark.parametrize("who", ["member", "reader"])
def test_only_admins_change_namespaces(
    who: str, namespaces: None, api: Any, send: Any
) -> None:
    client = getattr(api, who)

    assert send(client, "POST", PATH, {"namespace": "New"}).status_code == 403
    for name, code in {"Own": 403, "Public": 403, "Foreign": 404}.items():
        path = f"{PATH}/{name}"
        codes = [
            send(client, "PUT", path, {"namespace": name}).status_code,
            client.delete(path).status_code,
            send(client, "POST", f"{path}/tags", {"tags": []}).status_code,
            client.generic("POST", f"{path}/tags/x").status_code,
            client.delete(f"{path}/objects").status_code,
            client.delete(f"{path}/properties/x").status_code,
        ]
        assert set(codes) == {code}, name


def test_a_refusal_comes_before_errors_of_the_body(api: Any) -> None:
    assert api.member.generic("POST", PATH, "{", "application/json").status_code == 403


def test_definitions_need_a_token(client: Client, db: None) -> None:
    assert client.get(PATH).status_code == 401


# Lists


def test_a_list_is_filtered_by_visibility(namespaces: None, api: Any) -> None:
    assert names(api.member.get(f"{PATH}?visibility=public")) == ["Public"]
    assert names(api.member.get(f"{PATH}?visibility=private")) == ["Own"]
    assert api.member.get(f"{PATH}?visibility=shared").status_code == 400


def test_a_list_is_filtered_by_resource_types(api: Any, send: Any) -> None:
    types = {"A": ["X", "Y"], "B": ["Y"], "C": []}
    for name, kinds in types.items():
        associations = [{"name": kind} for kind in kinds]
        document = {"namespace": name, "resource_type_associations": associations}
        send(api.admin, "POST", PATH, document)

    assert names(api.admin.get(f"{PATH}?resource_types=X")) == ["A"]
    assert names(api.admin.get(f"{PATH}?resource_types=X,Y")) == ["B", "A"]
    assert names(api.admin.get(f"{PATH}?resource_types=Z")) == []


def test_a_list_has_what_a_dashboard_needs(api: Any, send: Any) -> None:
    """A dashboard itself selects by the target: an image's own properties have none."""
    send(api.admin, "POST", PATH, TREE)
    send(api.admin, "POST", PATH, {"namespace": "Other"})

    (found,) = api.member.get(
        f"{PATH}?resource_types=OS::Glance::Image&sort_key=namespace&sort_dir=asc"
    ).json()["namespaces"]

    targets = {
        it["name"]: it.get("properties_target")
        for it in found["resource_type_associations"]
    }
    assert targets == {"OS::Glance::Image": None, "OS::Cinder::Volume": "image"}
    assert "properties" not in found


@pytest.mark.parametrize("key", ["namespace", "created_at", "visibility", "id"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_pages_follow_each_other_without_gaps(
    key: str, direction: str, api: Any, namespace: Any
) -> None:
    for name in "dbeac":
        namespace(name, visibility="public")
    whole = names(api.member.get(f"{PATH}?sort_key={key}&sort_dir={direction}"))

    path, found = f"{PATH}?limit=2&sort_key={key}&sort_dir={direction}", []
    while path:
        page = api.member.get(path)
        found += names(page)
        path = page.json().get("next")

    assert found == whole
    assert sorted(found) == list("abcde")
    if key == "namespace":
        assert found == sorted("abcde", reverse=direction == "desc")


def test_links_keep_the_parameters(api: Any, namespace: Any) -> None:
    namespace("a::b", visibility="public")

    page = api.member.get(f"{PATH}?limit=1&visibility=public").json()

    assert page["first"] == f"{PATH}?limit=1&visibility=public"
    assert page["next"] == f"{page['first']}&marker=a%3A%3Ab"
    assert page["schema"] == "/v2/schemas/metadefs/namespaces"
    assert api.member.get(PATH).json()["first"] == PATH


def test_a_marker_that_is_not_seen_is_missing(namespaces: None, api: Any) -> None:
    assert api.member.get(f"{PATH}?marker=Foreign").status_code == 404
    assert api.member.get(f"{PATH}?marker=None").status_code == 404


@pytest.mark.parametrize(
    "query",
    ["limit=x", "limit=-1", "sort_key=x", "sort_key=", "sort_dir=up", "marker=%00"],
)
def test_a_wrong_parameter_is_refused(query: str, api: Any) -> None:
    assert api.member.get(f"{PATH}?{query}").status_code == 400


def test_a_page_of_no_namespaces_is_empty(namespaces: None, api: Any) -> None:
    page = api.member.get(f"{PATH}?limit=0").json()

    assert (page["namespaces"], page.get("next")) == ([], None)


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        (PATH, "GET, POST"),
        (f"{PATH}/N", "GET, PUT, DELETE"),
        (f"{PATH}/N/objects", "GET, POST, DELETE"),
        (f"{PATH}/N/objects/x", "GET, PUT, DELETE"),
        (f"{PATH}/N/tags/x", "GET, POST, PUT, DELETE"),
        (f"{PATH}/N/resource_types", "GET, POST"),
        (f"{PATH}/N/resource_types/x", "DELETE"),
        ("/v2/metadefs/resource_types", "GET"),
    ],
)
def test_another_method_is_not_allowed(path: str, allowed: str, api: Any) -> None:
    response = api.admin.generic("PATCH", path)

    assert (response.status_code, response["Allow"]) == (405, allowed)
