"""Limits of projects that Keystone keeps."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from django.utils import timezone
from keystoneauth1.exceptions import ClientException

from images import errors, lifecycle
from images.access import Caller
from images.models import UnifiedLimits
from images.transfers import limits, unified_limits
from tests.web import Quiet, serving

MIB = 1 << 20
PROJECT = "p"
SERVICES = {"services": [{"id": "images", "type": "image"}]}
REGISTERED = [
    ("images", None, "image_size_total", 10),
    ("images", "RegionOne", "image_count_total", 5),
    ("images", None, "image_count_total", 99),
    ("images", "RegionTwo", "image_stage_total", 77),
    ("volumes", None, "image_count_uploading", 77),
]
OF_PROJECTS = [
    ("images", None, "image_size_total", 20, PROJECT),
    ("images", None, "image_count_total", -1, "free"),
    ("volumes", None, "image_size_total", 77, "free"),
]

pytestmark = pytest.mark.django_db


class Keystone(Quiet):
    """The part of Keystone that the limits need."""

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        until = (timezone.now() + timedelta(hours=1)).isoformat()
        token = {"expires_at": until, "issued_at": until, "methods": ["password"]}
        self._answer({"token": token | {"user": {}}}, 201)

    def do_GET(self) -> None:
        path = urlsplit(self.path)
        documents = {
            "/v3/services": SERVICES,
            "/v3/registered_limits": {"registered_limits": registered()},
            "/v3/limits": {"limits": of_projects()},
        }
        assert self.headers["X-Auth-Token"] == "a token"
        if path.path == "/v3/services":
            assert parse_qs(path.query) == {"type": ["image"]}
        self._answer(documents[path.path], 200)

    def _answer(self, document: Any, status: int) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("X-Subject-Token", "a token")
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def registered() -> list[dict[str, Any]]:
    keys = ("service_id", "region_id", "resource_name", "default_limit")
    return [dict(zip(keys, row, strict=True)) for row in REGISTERED]


def of_projects() -> list[dict[str, Any]]:
    keys = ("service_id", "region_id", "resource_name", "resource_limit", "project_id")
    return [dict(zip(keys, row, strict=True)) for row in OF_PROJECTS]


@pytest.fixture(autouse=True)
def switched_on(settings: Any) -> None:
    settings.IMAGECATALOG_UNIFIED_LIMITS = True
    settings.IMAGECATALOG_KEYSTONE_USERNAME = "imagecatalog"
    settings.IMAGECATALOG_KEYSTONE_PASSWORD = "secret"


@pytest.fixture
def keystone(settings: Any) -> Iterator[None]:
    with serving(Keystone) as url:
        settings.IMAGECATALOG_KEYSTONE_URL = f"{url}/v3"
        yield


def test_the_limits_of_keystone_are_read(keystone: None) -> None:
    unified_limits.refresh()

    assert limits.of(PROJECT) == {
        "image_size_total": 20 * MIB,
        "image_stage_total": 0,
        "image_count_total": 5,
        "image_count_uploading": 0,
    }
    assert limits.of("free")["image_count_total"] is None
    assert limits.of(None)["image_size_total"] == 10 * MIB


def test_other_limits_do_not_count_then(keystone: None, settings: Any) -> None:
    settings.IMAGECATALOG_UNIFIED_LIMITS = False
    limits.set_own(PROJECT, {"image_size_total": 77})
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 77
    settings.IMAGECATALOG_UNIFIED_LIMITS = True

    unified_limits.refresh()

    assert limits.of(PROJECT)["image_size_total"] == 20 * MIB
    assert limits.of_all("image_size_total")("another") == 10 * MIB
    assert limits.source(PROJECT, "image_size_total") == "keystone"
    with pytest.raises(errors.Conflict, match="Change them there"):
        limits.set_own(PROJECT, {"image_size_total": 1})


def test_a_read_limit_is_enforced(
    keystone: None, make_image: Any, admin: Caller
) -> None:
    unified_limits.refresh()
    for _ in range(5):
        make_image(owner=PROJECT)

    with pytest.raises(errors.OverLimit, match="5 images"):
        lifecycle.create({"owner": PROJECT}, {}, [], admin)


def test_without_any_reading_nothing_grows(make_image: Any, admin: Caller) -> None:
    image = make_image("active", owner=PROJECT)

    with pytest.raises(errors.LimitsUnknown):
        lifecycle.create({"owner": PROJECT}, {}, [], admin)

    assert b"".join(lifecycle.read(image.pk, 0, image.size))


def test_the_last_limits_hold_while_keystone_is_away(
    keystone: None, settings: Any
) -> None:
    unified_limits.refresh()
    settings.IMAGECATALOG_KEYSTONE_URL = "http://127.0.0.1:9/v3"

    with pytest.raises(ClientException):
        unified_limits.refresh()

    assert limits.of(PROJECT)["image_size_total"] == 20 * MIB


def test_limits_that_are_too_old_do_not_hold(keystone: None, settings: Any) -> None:
    settings.IMAGECATALOG_UNIFIED_LIMITS_MAX_AGE = 60
    unified_limits.refresh()
    too_old = timezone.now() - timedelta(seconds=61)
    UnifiedLimits.objects.update(read_at=too_old)
    unified_limits._latest.cache_clear()

    with pytest.raises(errors.LimitsUnknown):
        limits.of(PROJECT)


def test_unknown_limits_are_answered_with_503(client_of: Any, member: Caller) -> None:
    client = client_of(member)

    create = client.post("/v2/images", {}, content_type="application/json")

    assert create.status_code == client.get("/v2/info/usage").status_code == 503
    assert client.get("/v2/images").status_code == 200


def test_nothing_is_read_where_it_is_not_wanted(settings: Any) -> None:
    settings.IMAGECATALOG_UNIFIED_LIMITS = False
    settings.IMAGECATALOG_KEYSTONE_URL = "http://127.0.0.1:9/v3"

    unified_limits.refresh()

    assert not UnifiedLimits.objects.exists()
