from __future__ import annotations

from typing import Any

import pytest

from images.models import Event, Image


def path(store: str, image: Image) -> str:
    return f"/v2/stores/{store}/{image.pk}"


def test_the_data_is_removed_from_one_of_two_stores(
    api: Any, two_copies: Image
) -> None:
    response = api.admin.delete(path("b", two_copies))

    shown = api.member.get(f"/v2/images/{two_copies.pk}").json()
    data = api.member.get(f"/v2/images/{two_copies.pk}/file").getvalue()
    assert (response.status_code, response.content) == (204, b"")
    assert (shown["status"], shown["stores"], data) == ("active", "a", b"a")
    assert Event.objects.get().verb == "remove_location"


def test_every_copy_in_the_store_is_removed(api: Any, two_copies: Image) -> None:
    two_copies.locations.create(store="b", key="ab/another")

    api.admin.delete(path("b", two_copies))

    assert two_copies.locations.filter(status="active").get().store == "a"


def test_the_removed_data_is_deleted_later(
    api: Any, two_copies: Image, settings: Any
) -> None:
    settings.IMAGECATALOG_SCRUB_TIME = 3600

    api.admin.delete(path("b", two_copies))

    removed = two_copies.locations.get(store="b")
    assert removed.status == "pending_delete"
    assert removed.delete_after > removed.created_at


def test_the_only_store_keeps_the_data(api: Any, two_copies: Image) -> None:
    api.admin.delete(path("b", two_copies))

    response = api.admin.delete(path("a", two_copies))

    assert response.status_code == 403
    assert "from the only store containing it" in response.content.decode()
    assert api.member.get(f"/v2/images/{two_copies.pk}").json()["stores"] == "a"


def test_a_store_without_data_of_the_image_is_404(
    api: Any, make_image: Any, two_copies: Image
) -> None:
    other = make_image("active")

    response = api.admin.delete(path("b", other))

    assert response.status_code == 404
    assert f"{other.pk} is not stored in store b" in response.content.decode()


@pytest.mark.parametrize("store", ["nope", "os_glance_staging_store", "file"])
def test_an_unknown_store_is_409(store: str, api: Any, two_copies: Image) -> None:
    response = api.admin.delete(path(store, two_copies))

    assert response.status_code == 409
    assert f"store {store} is not available" in response.content.decode()


@pytest.mark.parametrize("status", ["queued", "saving", "deactivated"])
def test_an_image_that_is_not_active_is_409(
    status: str, api: Any, make_image: Any
) -> None:
    assert api.admin.delete(path("local", make_image(status))).status_code == 409


@pytest.mark.parametrize("status", ["pending_delete", "deleted"])
def test_a_deleted_image_is_404(status: str, api: Any, make_image: Any) -> None:
    assert api.admin.delete(path("local", make_image(status))).status_code == 404


def test_only_admins_remove_data_from_a_store(api: Any, two_copies: Image) -> None:
    answers = [
        client.delete(path("b", two_copies)).status_code
        for client in (api.member, api.reader, api.stranger)
    ]

    assert answers == [403, 403, 404]
    assert two_copies.locations.filter(status="active").count() == 2


def test_a_body_is_refused(api: Any, two_copies: Image) -> None:
    assert api.admin.delete(path("b", two_copies), b"x").status_code == 400


def test_the_data_in_a_store_is_only_deleted(api: Any, two_copies: Image) -> None:
    response = api.admin.get(path("b", two_copies))

    assert (response.status_code, response["Allow"]) == (405, "DELETE")
