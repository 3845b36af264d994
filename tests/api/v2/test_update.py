from __future__ import annotations

import json
from typing import Any

import pytest

from images.api.v2.patch import ACCEPT_PATCH, V2_0, V2_1
from images.models import Event, Image, Member, Transfer

SETTABLE = {
    "name": "new",
    "visibility": "private",
    "protected": True,
    "min_ram": 5,
    "min_disk": 6,
    "os_hidden": True,
    "tags": ["a", "b"],
    "disk_format": "qcow2",
    "container_format": "ovf",
}


def replace(name: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": f"/{name}", "value": value}


def add(name: str, value: Any) -> dict[str, Any]:
    return {"op": "add", "path": f"/{name}", "value": value}


def remove(name: str) -> dict[str, Any]:
    return {"op": "remove", "path": f"/{name}"}


@pytest.mark.parametrize("op", ["add", "replace"])
@pytest.mark.parametrize("name", SETTABLE)
def test_an_attribute_is_set(
    op: str, name: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image()

    response = change(
        api.member, image, {"op": op, "path": f"/{name}", "value": SETTABLE[name]}
    )

    assert response.status_code == 200
    assert response.json()[name] == SETTABLE[name]
    assert response.json() == api.member.get(f"/v2/images/{image.pk}").json()


def test_a_part_of_a_patch_is_not_applied(api: Any, make_image: Any) -> None:
    image = make_image(name="old")
    patch = json.dumps([replace("name", "new")])
    part = {"Content-Range": "bytes 9-99/100"}

    response = api.member.patch(f"/v2/images/{image.pk}", patch, V2_1, headers=part)

    assert response.status_code == 400
    assert Image.objects.get().name == "old"


def test_the_older_dialect_is_understood(
    api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(properties={"old": "1", "gone": "2"})

    response = change(
        api.member,
        image,
        {"replace": "/name", "value": "new"},
        {"add": "/added", "value": "3"},
        {"remove": "/gone"},
        media_type=V2_0,
    )

    image = response.json()
    assert (image["name"], image["old"], image["added"]) == ("new", "1", "3")
    assert "gone" not in image


@pytest.mark.parametrize("path", ["/name", "/old"])
def test_in_the_older_dialect_nothing_is_added_twice(
    path: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(properties={"old": "1"})

    response = change(api.member, image, {"add": path, "value": "x"}, media_type=V2_0)

    assert response.status_code == 409


@pytest.mark.parametrize(
    "content_type",
    ["application/json", "application/json-patch+json", "application/octet-stream"],
)
def test_a_patch_in_another_dialect_is_415_and_says_which_are_spoken(
    content_type: str, api: Any, make_image: Any
) -> None:
    path = f"/v2/images/{make_image().pk}"

    response = api.member.patch(path, b"[]", content_type=content_type)

    assert response.status_code == 415
    assert response["Accept-Patch"] == ACCEPT_PATCH


def test_a_media_type_may_have_parameters(
    api: Any, change: Any, make_image: Any
) -> None:
    response = change(
        api.member,
        make_image(),
        replace("name", "new"),
        media_type=f"{V2_1}; charset=utf-8",
    )

    assert response.json()["name"] == "new"


def test_no_operations_change_nothing(api: Any, change: Any, make_image: Any) -> None:
    image = make_image()

    response = change(api.member, image)

    assert response.status_code == 200
    assert Image.objects.get().updated_at == image.updated_at
    assert not Event.objects.exists()


def test_all_operations_are_done_or_none(
    api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(name="old")

    response = change(
        api.member, image, replace("name", "new"), add("os", "x"), remove("missing")
    )

    assert response.status_code == 409
    assert Image.objects.get().name == "old"
    assert Image.objects.get().properties == {}


def test_operations_build_on_each_other(api: Any, change: Any, make_image: Any) -> None:
    response = change(
        api.member,
        make_image(),
        add("os", "1"),
        replace("os", "2"),
        add("gone", "x"),
        remove("gone"),
    )

    assert response.json()["os"] == "2"
    assert "gone" not in response.json()


@pytest.mark.parametrize("body", [b"", b"{", b"{}", b"7", b"[7]", b'["x"]', b"[[]]"])
def test_what_is_no_list_of_operations_is_400(
    body: bytes, api: Any, make_image: Any
) -> None:
    path = f"/v2/images/{make_image().pk}"

    assert api.member.patch(path, body, CONTENT_TYPE=V2_1).status_code == 400


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "test", "path": "/name", "value": "x"},
        {"op": "move", "path": "/name", "from": "/x"},
        {"op": "replace", "path": "/name"},
        {"op": "replace", "value": "x"},
        {"path": "/name", "value": "x"},
        {"op": "replace", "path": 7, "value": "x"},
        replace("", "x"),
        replace("name/", "x"),
        replace("na~me", "x"),
        {"op": "replace", "path": "name", "value": "x"},
        replace("name/first", "x"),
        add("tags/-", "x"),
        add("tags/0", "x"),
        replace("locations/0", {}),
        add("locations", []),
        remove("locations/-"),
        replace("name", 7),
        replace("name", "x" * 256),
        replace("name", "\U0001f600"),
        replace("name", "nul\0"),
        replace("visibility", "hidden"),
        replace("disk_format", "floppy"),
        replace("min_ram", -1),
        replace("min_disk", 2147483648),
        replace("protected", "true"),
        replace("os_hidden", None),
        replace("tags", "x"),
        replace("tags", ["x" * 256]),
        add("os", 7),
        add("os", None),
        add("os", {"a": "b"}),
        add("x" * 256, "value"),
    ],
)
def test_an_operation_that_makes_no_sense_is_400(
    operation: dict[str, Any], api: Any, change: Any, make_image: Any
) -> None:
    image = make_image()

    assert change(api.admin, image, operation).status_code == 400
    assert Image.objects.get().updated_at == image.updated_at


@pytest.mark.parametrize("op", ["add", "replace", "remove"])
@pytest.mark.parametrize(
    "name",
    [
        "id",
        "created_at",
        "updated_at",
        "status",
        "checksum",
        "size",
        "virtual_size",
        "direct_url",
        "self",
        "file",
        "schema",
        "os_hash_algo",
        "os_hash_value",
        "stores",
        "location",
        "deleted",
        "deleted_at",
        "os_glance_x",
    ],
)
def test_what_only_the_service_sets_is_403(
    op: str, name: str, api: Any, change: Any, make_image: Any
) -> None:
    operation = {"op": op, "path": f"/{name}", "value": "x"}

    assert change(api.admin, make_image(), operation).status_code == 403


@pytest.mark.parametrize("name", [*SETTABLE, "owner"])
def test_an_attribute_is_never_removed(
    name: str, api: Any, change: Any, make_image: Any
) -> None:
    assert change(api.admin, make_image(), remove(name)).status_code == 403


@pytest.mark.parametrize("operation", [replace("missing", "x"), remove("missing")])
def test_a_property_that_is_not_there_is_409(
    operation: dict[str, Any], api: Any, change: Any, make_image: Any
) -> None:
    assert change(api.member, make_image(), operation).status_code == 409


@pytest.mark.parametrize(
    "name",
    [
        "image_id",
        "member",
        "delete",
        "context",
        "repo",
        "base",
        "__class__",
        "pinned",
        "extra_properties",
        "properties",
        "metadata",
        "is_public",
        "status_before_delete",
    ],
)
def test_whatever_is_no_attribute_is_a_property(
    name: str, api: Any, change: Any, make_image: Any
) -> None:
    other = make_image("active")
    image = make_image()

    response = change(api.member, image, add(name, other.pk))

    assert response.json()[name] == other.pk
    assert Image.objects.get(pk=image.pk).properties == {name: other.pk}
    assert Image.objects.get(pk=other.pk).status == "active"


@pytest.mark.parametrize("op", ["add", "replace"])
@pytest.mark.parametrize("owner", ["project-b", "project-a", None])
def test_a_member_cannot_give_an_image_away(
    op: str, owner: str | None, api: Any, change: Any, make_image: Any
) -> None:
    operation = {"op": op, "path": "/owner", "value": owner}

    assert change(api.member, make_image(), operation).status_code == 403
    assert Image.objects.get().owner == "project-a"


@pytest.mark.parametrize("owner", ["project-b", None])
def test_an_admin_can_give_an_image_away(
    owner: str | None, api: Any, change: Any, make_image: Any
) -> None:
    response = change(api.admin, make_image(), replace("owner", owner))

    assert response.json()["owner"] == owner


@pytest.mark.parametrize("visibility", ["private", "shared", "community"])
def test_its_owner_sets_each_visibility_but_one(
    visibility: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image()

    response = change(api.member, image, replace("visibility", visibility))

    assert response.json()["visibility"] == visibility


def test_who_is_a_member_stays_one_through_all_visibilities(
    api: Any, change: Any, make_image: Any, stranger: Any
) -> None:
    image = make_image()
    Member.objects.create(image=image, member=stranger.project)

    change(api.member, image, replace("visibility", "private"))
    hidden = api.stranger.get(f"/v2/images/{image.pk}").status_code
    change(api.member, image, replace("visibility", "shared"))

    assert hidden == 404
    assert api.stranger.get(f"/v2/images/{image.pk}").status_code == 200


@pytest.mark.parametrize("status", ["queued", "importing"])
@pytest.mark.parametrize("name", ["disk_format", "container_format"])
def test_a_format_can_be_set_and_unset_before_there_is_data(
    name: str, status: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(status)
    Transfer.objects.update(status="failed")  # no data is being inspected just now

    response = change(api.member, image, replace(name, "ami"), replace(name, None))

    assert response.json()[name] is None


@pytest.mark.parametrize("status", ["saving", "uploading", "active", "deactivated"])
@pytest.mark.parametrize("name", ["disk_format", "container_format"])
def test_a_format_is_fixed_once_data_comes_even_to_the_same_value(
    name: str, status: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(status)

    response = change(api.admin, image, replace(name, getattr(image, name)))

    assert response.status_code == 403


@pytest.mark.parametrize("status", ["saving", "active", "deactivated"])
def test_everything_else_can_change_in_any_status(
    status: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(status, protected=True)

    response = change(api.member, image, replace("name", "new"), add("os", "x"))

    assert (response.json()["name"], response.json()["status"]) == ("new", status)


@pytest.mark.parametrize(("count", "code"), [(128, 200), (129, 413)])
def test_more_than_128_tags_or_properties_are_413(
    count: int, code: int, api: Any, change: Any, make_image: Any
) -> None:
    names = [f"n{number}" for number in range(count)]
    image = make_image()

    tags = change(api.member, image, replace("tags", names))
    properties = change(api.member, image, *(add(name, "x") for name in names))

    assert (tags.status_code, properties.status_code) == (code, code)


def test_an_image_with_too_many_properties_can_still_be_changed(
    api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(properties={f"n{number}": "x" for number in range(130)})

    response = change(api.member, image, replace("n1", "y"), remove("n2"))

    assert response.status_code == 200
    assert change(api.member, image, add("one_more", "x")).status_code == 413


def test_slashes_and_tildes_in_names_are_escaped(
    api: Any, change: Any, make_image: Any
) -> None:
    response = change(api.member, make_image(), add("a~1b~0c", "x"))

    assert response.json()["a/b~c"] == "x"


def test_a_change_moves_updated_at_only(api: Any, change: Any, make_image: Any) -> None:
    image = make_image()

    change(api.member, image, replace("name", "new"))

    changed = Image.objects.get()
    assert changed.updated_at > image.updated_at
    assert changed.created_at == image.created_at


def test_a_patch_that_is_far_too_long_is_413(api: Any, make_image: Any) -> None:
    path = f"/v2/images/{make_image().pk}"
    body = json.dumps([add("os", "x" * (1 << 20))])

    assert api.member.patch(path, body, content_type=V2_1).status_code == 413


ODD = [" sp ", "\tx", "a/b", "/", "~", "~1", "-", "a\n", "A-b", "%20", "é", "a "]


def pointer(name: str) -> str:
    return "/" + name.replace("~", "~0").replace("/", "~1")


@pytest.mark.parametrize("name", ODD)
def test_a_property_that_can_be_created_can_be_changed_and_removed(
    name: str, api: Any, create: Any, change: Any
) -> None:
    created = create(api.member, **{name: "1"})
    image = Image.objects.get(pk=created.json()["id"])

    replaced = change(
        api.member, image, {"op": "replace", "path": pointer(name), "value": "2"}
    )
    removed = change(api.member, image, {"op": "remove", "path": pointer(name)})

    assert (replaced.status_code, replaced.json()[name]) == (200, "2")
    assert (removed.status_code, name in removed.json()) == (200, False)


def test_blanks_around_a_name_count_only_if_a_property_has_them(
    api: Any, make_image: Any, change: Any
) -> None:
    image = make_image(properties={"a ": "1", "a": "2", "b": "3"})
    steps = [("/a ", "4"), ("/ a", "5"), ("/ b ", "6"), ("/ c ", "7")]

    changed = change(
        api.member,
        image,
        *({"op": "add", "path": path, "value": value} for path, value in steps),
    )

    properties = {name: changed.json().get(name) for name in ("a ", "a", "b", "c")}
    assert properties == {"a ": "4", "a": "5", "b": "6", "c": "7"}


@pytest.mark.parametrize("name", ["", " ", "\t\n", "\xa0"])
def test_a_property_needs_a_name(name: str, api: Any, create: Any) -> None:
    assert create(api.member, **{name: "1"}).status_code == 400
