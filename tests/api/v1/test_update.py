"""PUT /v1/images/ID: metadata, properties, and the first data."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from images.models import Event, Image
from tests.api.v1.conftest import kept

KEEP = {"x-glance-registry-purge-props": "false"}
PURGE = {"x-glance-registry-purge-props": "True"}
DATA = b"*" * 5120


def now() -> Image:
    return Image.objects.get()


def test_metadata_is_changed(api: Any, make_image: Any, put: Any) -> None:
    image = make_image(name="old", min_ram=5)

    response = put(api.member, image, name="new", min_disk=7, protected="True")

    shown = response.json()["image"]
    assert response.status_code == 200
    assert (shown["name"], shown["min_ram"], shown["min_disk"]) == ("new", 5, 7)
    assert shown["protected"] is True
    assert shown["updated_at"] != shown["created_at"]
    assert Event.objects.last().interface == "v1"


def test_properties_are_replaced_as_a_whole(
    api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(properties={"distro": "Ubuntu", "arch": "arm"})

    response = put(api.member, image, properties={"Arch": "x86"})

    assert response.json()["image"]["properties"] == {"arch": "x86"}
    assert put(api.member, image, name="a").json()["image"]["properties"] == {}


@pytest.mark.parametrize(
    ("control", "left"), [(KEEP, {"a": "1", "b": "3"}), (PURGE, {"b": "3"})]
)
def test_whether_others_go_can_be_said(
    control: Any, left: Any, api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(properties={"a": "1", "b": "2"})

    put(api.member, image, properties={"b": "3"}, control=control)

    assert now().properties == left


def test_data_takes_no_properties_away(api: Any, make_image: Any, put: Any) -> None:
    image = make_image(properties={"a": "1"})

    response = put(api.member, image, DATA, properties={"b": "2"}, name="new")

    assert response.status_code == 200
    assert (now().status, now().name) == ("active", "new")
    assert now().properties == {"a": "1", "b": "2"}


@pytest.mark.parametrize(
    ("control", "code"),
    [
        ({"Content-Range": "bytes 600-999/1000"}, 400),
        ({"Upload-Complete": "?0"}, 400),
        ({"Content-Encoding": "gzip"}, 415),
    ],
)
def test_a_part_or_encoded_data_changes_nothing(
    control: dict[str, str], code: int, api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(name="old")

    response = put(api.member, image, DATA, name="new", control=control)

    assert response.status_code == code
    assert (now().status, now().name, kept()) == ("queued", "old", [])


def test_properties_of_the_service_itself_stay(
    api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(properties={"os_glance_lock": "1", "a": "2"})

    put(api.member, image)

    assert now().properties == {"os_glance_lock": "1"}


def test_properties_that_differ_in_case_only_are_not_lost(
    api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(properties={"Os-Type": "1", "os_type": "2", "Other": "3"})

    put(api.member, image, properties={"os_type": "4", "other": "5"})

    assert now().properties == {"Os-Type": "1", "os_type": "4", "Other": "5"}


def test_too_many_properties_are_413_and_change_nothing(
    api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(name="old", properties={"a": "1"})
    many = {f"p{number}": "x" for number in range(129)}

    assert put(api.member, image, properties=many, name="new").status_code == 413
    assert (now().name, now().properties) == ("old", {"a": "1"})


def test_a_name_can_be_taken_away(api: Any, make_image: Any, put: Any) -> None:
    put(api.member, make_image(name="old"), name="")

    assert now().name is None


def test_what_must_not_be_changed(api: Any, make_image: Any, put: Any) -> None:
    image = make_image("active")
    same = {"id": image.pk, "status": "active", "size": image.size}
    same |= {"checksum": image.checksum, "disk_format": "raw"}

    assert put(api.member, image, **same).status_code == 200
    for client in (api.member, api.admin):
        for fields in (
            {"status": "queued"},
            {"id": "5f7f6f1e-0000-4000-8000-000000000000"},
            {"size": 1},
            {"checksum": "0" * 32},
            {"disk_format": "qcow2"},
        ):
            assert put(client, image, **fields, name="new").status_code == 403
    assert now().name is None
    assert "Forbidden to modify 'size' of active image." in (
        put(api.member, image, size=1).text
    )


@pytest.mark.parametrize("status", ["active", "saving", "deactivated", "killed"])
def test_data_comes_once(status: str, api: Any, make_image: Any, put: Any) -> None:
    image = make_image(status)

    for fields in ({"size": 5120, "name": "new"}, {"disk_format": "qcow2"}):
        assert put(api.admin, image, DATA, **fields).status_code == 409
    assert (now().status, now().name) == (status, None)


def test_a_wrong_content_type_kills_only_what_waits_for_data(
    api: Any, make_image: Any, put: Any
) -> None:
    waits, active = make_image(), make_image("active")

    for image, code, status in ((waits, 400, "killed"), (active, 409, "active")):
        sent = put(api.member, image, DATA, content_type="text/plain")
        assert sent.status_code == code
        assert Image.objects.get(pk=image.pk).status == status


def test_data_needs_both_formats(api: Any, make_image: Any, put: Any) -> None:
    image = make_image(disk_format=None)

    assert put(api.member, image, DATA).status_code == 400
    assert now().status == "queued"
    assert put(api.member, image, DATA, disk_format="raw").status_code == 200


def test_a_size_is_announced_while_data_is_awaited(
    api: Any, make_image: Any, put: Any
) -> None:
    image = make_image()

    assert put(api.member, image, size=5).json()["image"]["size"] == 5
    assert now().status == "queued"


@pytest.mark.parametrize(
    ("before", "is_public", "after"),
    [
        ("private", "False", "private"),
        ("shared", "False", "shared"),
        ("community", "False", "community"),
        ("public", "False", "shared"),
        ("public", "True", "public"),
        ("private", "True", "public"),
    ],
)
def test_an_image_is_public_or_what_it_was(
    before: str, is_public: str, after: str, api: Any, make_image: Any, put: Any
) -> None:
    image = make_image(visibility=before)

    assert put(api.admin, image, is_public=is_public).status_code == 200
    assert now().visibility == after


def test_only_admins_publish_and_give_away(api: Any, make_image: Any, put: Any) -> None:
    image = make_image()

    assert put(api.member, image, is_public="True").status_code == 403
    assert put(api.member, image, owner="project-z").status_code == 200
    assert now().owner == "project-a"
    assert put(api.admin, image, owner="project-z").status_code == 200
    assert now().owner == "project-z"


def test_what_is_deleted_is_not_changed(api: Any, make_image: Any, put: Any) -> None:
    for image in (make_image("deleted"), make_image("pending_delete")):
        assert put(api.member, image, name="x").status_code == 404
        refused = put(api.admin, image, name="x")
        assert refused.status_code == 403
        assert "Forbidden to update deleted image." in refused.text


def test_what_makes_no_sense_is_400(api: Any, make_image: Any, put: Any) -> None:
    image = make_image()

    for fields in ({"foo": "1"}, {"min_ram": "x"}, {"disk_format": "x"}, {"size": "x"}):
        assert put(api.member, image, **fields).status_code == 400
    assert put(api.member, image, disk_format="ami").status_code == 400


def test_both_versions_see_the_same_image(api: Any, register: Any, put: Any) -> None:
    document = register(
        api.admin, DATA, name="one", is_public="1", properties={"A-b": "x"}
    )
    image_id = document.json()["image"]["id"]

    second = api.stranger.get(f"/v2/images/{image_id}").json()
    assert (second["name"], second["visibility"], second["a_b"]) == (
        "one",
        "public",
        "x",
    )
    assert b"".join(api.stranger.get(f"/v2/images/{image_id}/file")) == DATA

    api.admin.patch(
        f"/v2/images/{image_id}",
        '[{"op": "replace", "path": "/visibility", "value": "private"},'
        ' {"op": "add", "path": "/Kernel", "value": "6"}]',
        "application/openstack-images-v2.1-json-patch",
    )
    head = api.admin.head(f"/v1/images/{image_id}")
    assert head["x-image-meta-is_public"] == "False"
    assert head["x-image-meta-property-kernel"] == "6"


# The names that a client of API v2 can create.
@pytest.mark.parametrize(
    "name", [" sp ", "\tx", "a/b", "~1", "a\n", "A-b", "%20", "é", "É", "a:b", "é "]
)
def test_a_property_of_any_name_is_shown_and_changed(
    name: str, api: Any, put: Any, make_image: Any
) -> None:
    image = make_image(properties={name: "1", "other": "2"})
    header = f"x-image-meta-property-{quote(name, safe='')}"

    shown = api.member.head(f"/v1/images/{image.pk}")
    changed = put(api.member, image, properties={quote(name, safe=""): "3"})

    assert shown[header] == "1"
    assert changed.json()["image"]["properties"] == {name: "3"}
