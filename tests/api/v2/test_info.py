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
            "s3_store_thread_pools": 4,
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
