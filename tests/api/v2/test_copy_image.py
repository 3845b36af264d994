"""``POST /v2/images/{id}/import`` with the method copy-image."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from images import stores
from images.access import Caller, implied
from images.api import authentication
from images.models import Image, Transfer
from tests.copies import work


@pytest.fixture(autouse=True)
def three_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = (
        f"local=file://{tmp_path}/images,far=file://{tmp_path}/far,"
        f"third=file://{tmp_path}/third"
    )


@pytest.fixture
def image(make_image: Any) -> Image:
    made: Image = make_image("active")
    return made


def copy(client: Client, image: Image, *names: str, **more: Any) -> HttpResponse:
    body = {"method": {"name": "copy-image"}, "stores": names, **more}
    return client.post(
        f"/v2/images/{image.pk}/import", json.dumps(body), "application/json"
    )


def show(client: Client, image: Image) -> Any:
    return client.get(f"/v2/images/{image.pk}").json()


def tasks(client: Client, image: Image) -> Any:
    return client.get(f"/v2/images/{image.pk}/tasks").json()["tasks"]


def test_an_image_is_copied_while_it_stays_active(api: Any, image: Image) -> None:
    response = copy(api.admin, image, "far")

    assert (response.status_code, response.content) == (202, b"")
    shown = show(api.admin, image)
    assert (shown["status"], shown["stores"]) == ("active", "local")
    assert shown["os_glance_importing_to_stores"] == "far"
    (task,) = tasks(api.admin, image)
    assert shown["os_glance_import_task"] == task["id"]
    work()
    shown = show(api.admin, image)
    assert (shown["status"], shown["stores"]) == ("active", "local,far")
    assert shown["os_glance_importing_to_stores"] == ""
    assert shown["os_glance_failed_import"] == ""
    assert "os_glance_import_task" not in shown
    assert [task["status"] for task in tasks(api.admin, image)] == ["success"]


def test_a_copy_that_fails_is_told_and_can_be_requested_again(
    api: Any, image: Image
) -> None:
    location = image.locations.get()
    data = b"".join(stores.get("local").open(location.key))
    stores.get("local").delete(location.key)
    copy(api.admin, image, "far")
    work()

    shown = show(api.admin, image)
    assert (shown["status"], shown["os_glance_failed_import"]) == ("active", "far")
    assert tasks(api.admin, image)[0]["status"] == "failure"

    stores.get("local").put(location.key, [data])
    copy(api.admin, image, "far")
    work()
    assert show(api.admin, image)["stores"] == "local,far"


def test_an_image_is_copied_to_all_stores_that_lack_it(api: Any, image: Image) -> None:
    assert copy(api.admin, image, all_stores=True).status_code == 202
    assert show(api.admin, image)["os_glance_importing_to_stores"] == "far,third"
    work()
    assert show(api.admin, image)["stores"] == "local,far,third"

    assert copy(api.admin, image, all_stores=True).status_code == 202
    assert len(tasks(api.admin, image)) == 1


def test_an_image_tells_which_copies_have_failed(
    api: Any, image: Image, tmp_path: Path
) -> None:
    (tmp_path / "third").touch()  # no folder
    copy(api.admin, image, "far", "third", all_stores_must_succeed=False)

    work()

    shown = show(api.admin, image)
    assert (shown["stores"], shown["os_glance_failed_import"]) == ("local,far", "third")
    assert tasks(api.admin, image)[0]["status"] == "success"


@pytest.mark.parametrize("status", ["queued", "saving", "uploading", "deactivated"])
def test_an_image_that_is_not_active_is_409(
    status: str, api: Any, make_image: Any
) -> None:
    assert copy(api.admin, make_image(status), "far").status_code == 409


def test_a_copy_to_a_read_only_store_is_a_task_that_fails(
    api: Any, image: Image
) -> None:
    assert copy(api.admin, image, "http").status_code == 202
    work()

    shown = show(api.admin, image)
    assert (shown["status"], shown["stores"]) == ("active", "local")
    assert shown["os_glance_failed_import"] == "http"
    (task,) = tasks(api.admin, image)
    assert (task["status"], task["message"][:30]) == (
        "failure",
        "Data cannot be stored at a URL",
    )


@pytest.mark.parametrize(("store", "code"), [("local", 400), ("nope", 409)])
def test_a_store_that_cannot_get_a_copy_is_refused(
    store: str, code: int, api: Any, image: Image
) -> None:
    assert copy(api.admin, image, store).status_code == code
    assert not Transfer.objects.exists()


def test_a_second_copy_waits_for_the_first(api: Any, image: Image) -> None:
    copy(api.admin, image, "far")

    response = copy(api.admin, image, "far")

    assert response.status_code == 409
    assert "Image has active task" in response.content.decode()


@pytest.mark.parametrize("visibility", ["private", "public"])
def test_only_an_admin_copies_by_default(
    visibility: str, api: Any, make_image: Any
) -> None:
    image = make_image("active", visibility=visibility)

    codes = [
        copy(client, image, "far").status_code
        for client in (api.member, api.reader, api.stranger)
    ]

    assert codes == [403, 403, 404 if visibility == "private" else 403]
    assert not Transfer.objects.exists()


def test_a_credential_can_be_limited_to_copies(
    image: Image, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def allow(*actions: str) -> None:
        caller = Caller(
            "root", None, implied("admin"), interface="v2", actions=frozenset(actions)
        )
        monkeypatch.setitem(authentication.MODES, "embedded", lambda request: caller)

    allow("modify_image")
    assert copy(client, image, "far").status_code == 403
    allow("modify_image", "copy_image")
    assert copy(client, image, "far").status_code == 202
