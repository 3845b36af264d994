"""The images of families at the other interfaces: what their family protects."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.management import CommandError, call_command

from images import errors, lifecycle
from images.access import Caller
from images.attributes import Changes
from images.models import Image
from images.operations import manual_transitions, purge
from tests.api.catalog.conftest import ONE

CURRENT = "the current image of family debian-13"


def replace(name: str, value: Any) -> dict[str, Any]:
    return {"op": "replace", "path": f"/{name}", "value": value}


def new(name: str, value: str = "x") -> dict[str, Any]:
    return {"op": "add", "path": f"/{name}", "value": value}


@pytest.fixture
def image(family: Any, add: Any) -> Image:
    """The current image of the family debian-13."""
    family()
    made: Image = add("1", promote=True)
    return made


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_the_current_image_is_not_deleted(
    version: str, api: Any, image: Image, add: Any
) -> None:
    path = f"/{version}/images/{image.pk}"
    response = api.admin.delete(path)

    assert response.status_code == 409
    assert CURRENT in response.content.decode()
    assert Image.objects.get(pk=image.pk).status == "active"

    add("2", promote=True)
    assert api.admin.delete(path).status_code in (200, 204)


def test_the_current_image_is_not_deleted_by_operators(
    image: Image, admin: Caller, capsys: Any
) -> None:
    with pytest.raises(CommandError):
        call_command(
            "image_status", image.pk, "--to", "pending_delete", "--reason", "x"
        )
    assert CURRENT in capsys.readouterr().err
    with pytest.raises(errors.Conflict, match=CURRENT):
        manual_transitions.transition_to(image.pk, "pending_delete", admin, "")

    assert Image.objects.get(pk=image.pk).status == "active"


def test_an_image_without_its_properties_is_protected_all_the_same(
    api: Any, image: Image, change: Any
) -> None:
    # A process of the previous release can remove them.
    Image.objects.update(properties={})

    assert api.admin.delete(f"/v2/images/{image.pk}").status_code == 409
    assert change(api.member, image, replace("name", "x")).status_code == 403


def test_the_current_image_keeps_its_data(
    api: Any, image: Image, change: Any, settings: Any
) -> None:
    response = change(api.admin, image, replace("locations", []))

    assert response.status_code == 409
    assert CURRENT in response.content.decode()


def test_the_current_image_can_be_deactivated(api: Any, image: Image) -> None:
    path = f"/v2/images/{image.pk}/actions/deactivate"

    assert api.member.generic("POST", path).status_code == 204
    assert api.reader.get(f"{ONE}/image").json()["status"] == "deactivated"


@pytest.mark.parametrize(("name", "value"), [("name", "mine"), ("os_hidden", True)])
def test_what_the_family_sets_is_403(
    name: str, value: Any, api: Any, image: Image, change: Any
) -> None:
    response = change(api.member, image, replace(name, value))

    assert response.status_code == 403
    assert "family debian-13" in response.content.decode()
    same = "debian-13" if name == "name" else False
    assert change(api.member, image, replace(name, same)).status_code == 200


@pytest.mark.parametrize(
    "operation",
    [
        replace("image_family", "other"),
        {"op": "remove", "path": "/image_family"},
        replace("image_version", "2"),
        {"op": "remove", "path": "/image_version"},
    ],
)
def test_the_properties_of_a_family_are_read_only(
    operation: Any, api: Any, image: Image, change: Any
) -> None:
    response = change(api.admin, image, operation)

    assert response.status_code == 403
    assert Image.objects.get(pk=image.pk).properties == {
        "image_family": "debian-13",
        "image_version": "1",
    }


def test_other_images_do_not_get_these_properties(
    api: Any, create: Any, make_image: Any, change: Any
) -> None:
    assert create(api.admin, image_family="debian-13").status_code == 403
    assert change(api.admin, make_image(), new("image_version")).status_code == 403


def test_a_property_of_this_name_from_before_there_were_families_is_plain(
    api: Any, make_image: Any, change: Any
) -> None:
    image = make_image(properties={"image_family": "mine"})

    assert change(api.member, image, replace("image_family", "x")).status_code == 200
    assert change(api.member, image, new("image_version")).status_code == 403
    removal = {"op": "remove", "path": "/image_family"}
    assert change(api.member, image, removal).status_code == 200


def test_a_client_of_version_1_keeps_what_the_family_has_set(
    api: Any, image: Image
) -> None:
    path = f"/v1/images/{image.pk}"
    changed = api.admin.put(path, headers={"x-image-meta-property-os": "debian"})

    assert changed.status_code == 200
    assert Image.objects.get(pk=image.pk).properties == {
        "image_family": "debian-13",
        "image_version": "1",
        "os": "debian",
    }
    renamed = api.admin.put(path, headers={"x-image-meta-name": "mine"})
    assert renamed.status_code == 403


def test_images_are_found_by_their_family(api: Any, image: Image, add: Any) -> None:
    add("2", promote=True)

    def found(query: str) -> list[str]:
        path = f"/v2/images?image_family=debian-13{query}"
        return [it["image_version"] for it in api.reader.get(path).json()["images"]]

    assert found("") == ["2"]
    assert found("&os_hidden=true") == ["1"]
    assert found("&image_version=1") == []


def test_the_properties_of_a_family_are_not_counted(
    api: Any, family: Any, add: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_PROPERTY_QUOTA = 1
    family()

    image = add("1", properties={"os": "debian"})

    document = api.reader.get(f"/v2/images/{image.pk}").json()
    assert document["image_family"] == "debian-13"


def test_an_old_image_comes_back_from_the_trash_as_the_version_that_it_was(
    api: Any, image: Image, add: Any, post: Any, member: Caller
) -> None:
    add("2", promote=True)
    lifecycle.delete(image.pk, member)
    (old,) = api.reader.get(f"{ONE}/versions?state=old").json()["versions"]
    assert old["status"] == "pending_delete"

    lifecycle.restore(image.pk, member)

    assert post(api.member, f"{ONE}/promote", version="1").status_code == 200


def test_a_purged_image_is_no_version_any_longer(
    api: Any, image: Image, add: Any, member: Caller
) -> None:
    add("2", promote=True)
    lifecycle.delete(image.pk, member)
    lifecycle.scrub(image.pk, member)
    deleted = Image.objects.get(pk=image.pk).deleted_at
    assert deleted is not None

    purge.purge_deleted(deleted.max.replace(tzinfo=deleted.tzinfo))

    versions = api.reader.get(f"{ONE}/versions").json()["versions"]
    assert [it["label"] for it in versions] == ["2"]


def test_a_change_of_another_attribute_is_the_owner_s(
    image: Image, member: Caller
) -> None:
    lifecycle.update(image.pk, Changes({"min_ram": 512}), member)

    assert Image.objects.get(pk=image.pk).min_ram == 512
