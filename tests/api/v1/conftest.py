"""Helpers of the tests of API v1: metadata as headers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from django.http import HttpResponse
from django.test import Client

from images import stores
from images.models import Event, Image

OCTETS = "application/octet-stream"
RAW = {"disk_format": "raw", "container_format": "bare"}


def kept() -> list[str]:
    """The keys of all objects in the default store."""
    return [key for key, _ in stores.default().keys()]


def told() -> list[tuple[str, str, str, str]]:
    """Every event of the history: verb, the status before and after it, and the interface."""
    events = Event.objects.order_by("pk")
    return [(it.verb, it.from_status, it.to_status, it.interface) for it in events]


def headers(fields: dict[str, Any], properties: dict[str, str]) -> dict[str, str]:
    named = {f"x-image-meta-{name}": str(value) for name, value in fields.items()}
    return named | {
        f"x-image-meta-property-{name}": value for name, value in properties.items()
    }


def send(
    client: Client,
    method: str,
    path: str,
    data: bytes | None,
    fields: dict[str, Any],
    properties: dict[str, str] | None = None,
    control: dict[str, str] | None = None,
    content_type: str = OCTETS,
) -> HttpResponse:
    sent = headers(fields, properties or {}) | (control or {})
    return client.generic(method, path, data or b"", content_type, headers=sent)


@pytest.fixture
def register() -> Callable[..., HttpResponse]:
    """``register(api.member, b"data", name="debian")``: a POST of a raw image; None: no data."""

    def post(client: Client, data: bytes | None = None, **fields: Any) -> HttpResponse:
        more = {
            name: fields.pop(name)
            for name in ("properties", "control", "content_type")
            if name in fields
        }
        given = {name: it for name, it in (RAW | fields).items() if it is not None}
        return send(client, "POST", "/v1/images", data, given, **more)

    return post


@pytest.fixture
def put() -> Callable[..., HttpResponse]:
    """``put(api.member, image, b"data", name="debian", properties={…}, control={…})``."""

    def put(
        client: Client, image: Image, data: bytes | None = None, **fields: Any
    ) -> HttpResponse:
        more = {
            name: fields.pop(name)
            for name in ("properties", "control", "content_type")
            if name in fields
        }
        return send(client, "PUT", f"/v1/images/{image.pk}", data, fields, **more)

    return put
