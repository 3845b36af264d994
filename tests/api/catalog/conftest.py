"""Fixtures of the tests of families: a family with versions, and requests for it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from images.models import Image

FAMILIES = "/catalog/v1/families"
ONE = f"{FAMILIES}/debian-13"
JSON = "application/json"


@pytest.fixture
def post() -> Callable[..., HttpResponse]:
    """``post(api.member, path, version="1")``: a POST of a JSON object."""

    def send(client: Client, path: str, **body: Any) -> HttpResponse:
        return client.post(path, body, content_type=JSON)

    return send


@pytest.fixture
def family(api: Any, post: Any) -> Callable[..., dict[str, Any]]:
    """``family(hide_old=False)``: the family debian-13 of the members' project."""

    def make(name: str = "debian-13", **values: Any) -> dict[str, Any]:
        values = {"name": name, "architecture": "x86_64", **values}
        client = api.admin if values.get("scope") == "public" else api.member
        if client is api.admin:
            values.setdefault("owner", "project-a")
        response = post(client, FAMILIES, **values)
        assert response.status_code == 201, response.content
        return response.json()  # type: ignore[no-any-return]

    return make


@pytest.fixture
def add(api: Any, post: Any, make_image: Any) -> Callable[..., Image]:
    """``add("1", promote=True)``: an active image that is this version of debian-13."""

    def make(
        label: str, *, promote: bool = False, ref: str = "debian-13", **fields: Any
    ) -> Image:
        image: Image = make_image(**{"status": "active", **fields})
        body = {"image": image.pk, "label": label, "promote": promote}
        response = post(api.member, f"{FAMILIES}/{ref}/versions", **body)
        assert response.status_code == 201, response.content
        return image

    return make
