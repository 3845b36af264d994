from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.test import Client

from images.access import Caller, implied
from tests.servers import S3

HTTP = {"id": "http", "description": "URLs, read-only", "read-only": "true"}


@pytest.fixture
def two_stores(settings: Any, tmp_path: Path) -> None:
    settings.IMAGECATALOG_STORES = (
        f"fast=file://{tmp_path}/a?weight=200&description=SSD,cold=file://{tmp_path}/b"
    )


@pytest.mark.parametrize("who", ["admin", "member", "reader"])
def test_whoever_is_signed_in_learns_the_stores(
    who: str, api: Any, two_stores: None
) -> None:
    response = getattr(api, who).get("/v2/info/stores")

    assert response.status_code == 200
    assert response.json() == {
        "stores": [
            {"id": "fast", "description": "SSD", "default": "true"},
            {"id": "cold"},
            HTTP,
        ]
    }


def test_the_stores_need_a_token(client: Client) -> None:
    assert client.get("/v2/info/stores").status_code == 401


def test_an_admin_learns_what_the_stores_are(
    api: Any, two_stores: None, tmp_path: Path
) -> None:
    fast, cold, http = api.admin.get("/v2/info/stores/detail").json()["stores"]

    assert fast == {
        "id": "fast",
        "description": "SSD",
        "default": "true",
        "type": "file",
        "weight": 200,
        "properties": {
            "data_dir": f"{tmp_path}/a",
            "chunk_size": 1 << 20,
            "thin_provisioning": False,
        },
    }
    assert (cold["id"], cold["weight"]) == ("cold", 0)
    assert http == {**HTTP, "type": "http", "weight": 0, "properties": {}}


@pytest.mark.s3
def test_the_detail_of_an_object_store_names_no_credential(
    api: Any, settings: Any, s3: S3
) -> None:
    settings.IMAGECATALOG_STORES = s3.store("far") + "&part_mib=16"

    response = api.admin.get("/v2/info/stores/detail")

    far = response.json()["stores"][0]
    assert (far["type"], far["properties"]) == (
        "s3",
        {
            "s3_store_large_object_size": 16,
            "s3_store_large_object_chunk_size": 16,
            "s3_store_thread_pools": 3,
        },
    )
    assert not [value for value in s3.env.values() if value in response.text]


@pytest.mark.parametrize(
    ("role", "code"), [("member", 403), ("reader", 403), ("service", 200)]
)
def test_only_admins_and_services_learn_the_detail(
    role: str, code: int, client: Client, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    from images.api import authentication

    caller = Caller("alice", "project-a", implied(role), interface="v2")
    monkeypatch.setitem(authentication.MODES, "embedded", lambda request: caller)

    assert client.get("/v2/info/stores/detail").status_code == code


@pytest.mark.parametrize("path", ["stores", "stores/detail"])
@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH"])
def test_the_stores_are_only_read(path: str, method: str, api: Any) -> None:
    response = api.admin.generic(method, f"/v2/info/{path}")

    assert (response.status_code, response["Allow"]) == (405, "GET")


MIB = 1 << 20


def test_nothing_is_told_of_usage_where_nothing_is_limited(
    api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = -1
    make_image("active")

    assert api.member.get("/v2/info/usage").json() == {"usage": {}}


def test_usage_and_limits_are_in_mebibytes_and_images(
    api: Any, make_image: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 50 * MIB + 1
    settings.IMAGECATALOG_USER_STAGING_QUOTA = 20 * MIB
    settings.IMAGECATALOG_IMAGE_COUNT_UPLOADING = 5
    twice = make_image("active", size=3 * MIB)
    twice.locations.create(store="elsewhere", key="ab/copy")
    make_image("active", size=100 * MIB, owner="another")
    make_image("pending_delete", size=100 * MIB)
    saving, staging = make_image("saving"), make_image("uploading")
    saving.transfers.update(bytes_reserved=2 * MIB)
    staging.transfers.update(bytes_expected=4 * MIB - 1, status_on_failure="queued")

    assert api.member.get("/v2/info/usage").json() == {
        "usage": {
            "image_size_total": {"usage": 11, "limit": 50},
            "image_stage_total": {"usage": 3, "limit": 20},
            "image_count_total": {"usage": 3, "limit": -1},
            "image_count_uploading": {"usage": 2, "limit": 5},
        }
    }


def test_usage_needs_a_token(client: Client) -> None:
    assert client.get("/v2/info/usage").status_code == 401


@pytest.mark.parametrize("images", [1, 30])
def test_usage_is_counted_in_a_constant_number_of_queries(
    images: int,
    api: Any,
    make_image: Any,
    settings: Any,
    django_assert_max_num_queries: Any,
) -> None:
    settings.IMAGECATALOG_IMAGE_COUNT_TOTAL = 50
    for _ in range(images):
        make_image("active")
        make_image("uploading")
    api.member.get("/v2/info/usage")

    with django_assert_max_num_queries(8):
        api.member.get("/v2/info/usage")
