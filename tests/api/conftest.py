"""Fixtures of the tests of the API: a client for each caller, and patches."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from images import stores
from images.access import Caller
from images.api.v2.patch import V2_1
from images.models import Image


class Api:
    """``api.member.get(…)``, ``api.stranger.delete(…)``: a client is signed in when it is used."""

    def __init__(
        self, client_of: Callable[[Caller], Client], callers: dict[str, Caller]
    ) -> None:
        self._client_of, self._callers = client_of, callers

    def __getattr__(self, who: str) -> Client:
        client = self._client_of(self._callers[who])
        setattr(self, who, client)
        return client


@pytest.fixture
def api(
    client_of: Callable[[Caller], Client],
    admin: Caller,
    member: Caller,
    reader: Caller,
    stranger: Caller,
) -> Api:
    callers = {
        "admin": admin,
        "member": member,
        "reader": reader,
        "stranger": stranger,
    }
    return Api(client_of, callers)


@pytest.fixture
def create() -> Callable[..., HttpResponse]:
    """``create(api.member, name="debian")``, or with one document of whatever kind."""

    def post(client: Client, *document: Any, **attributes: Any) -> HttpResponse:
        body = json.dumps(*document) if document else json.dumps(attributes)
        return client.post("/v2/images", body, content_type="application/json")

    return post


@pytest.fixture
def change() -> Callable[..., HttpResponse]:
    """``change(api.member, image, {"op": …}, …)``: a PATCH."""

    def patch(
        client: Client, image: Image, *operations: Any, media_type: str = V2_1
    ) -> HttpResponse:
        path = f"/v2/images/{image.pk}"
        return client.patch(path, json.dumps(operations), content_type=media_type)

    return patch


@pytest.fixture
def two_copies(make_image: Any, settings: Any, tmp_path: Path) -> Image:
    """An image with a copy in store ``a``, and in the heavier ``b`` one that can be told apart."""
    settings.IMAGECATALOG_STORES = (
        f"a=file://{tmp_path}/a,b=file://{tmp_path}/b?weight=9"
    )
    image: Image = make_image("active", size=1)
    image.locations.all().delete()
    for store in stores.configured():
        store.put(f"ab/{store.id}", [store.id.encode()])
        image.locations.create(store=store.id, key=f"ab/{store.id}")
    return image
