"""Limits on how often a project sends requests, and changes an image."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any

import pytest
from django.test import Client

from images import lifecycle
from images.access import Caller, implied, operator
from images.api import authentication
from images.attributes import Changes
from images.errors import TooManyRequests
from images.lifecycle import sharing
from images.models import Event, Image
from tests.servers import ROOT

# Requests


@pytest.mark.parametrize("path", ["/v2/images", "/v1/images"])
def test_requests_of_a_project_are_limited(path: str, api: Any, settings: Any) -> None:
    settings.IMAGECATALOG_RATE_LIMIT = 2

    codes = [api.member.get(path).status_code for _ in range(3)]
    refused = api.member.get(path)

    assert codes == [200, 200, 429]
    assert (refused["Retry-After"], "too many requests" in refused.text) == ("30", True)
    assert api.stranger.get(path).status_code == 200


def test_users_without_a_project_are_limited_one_by_one(
    client: Client, settings: Any, monkeypatch: pytest.MonkeyPatch, db: None
) -> None:
    settings.IMAGECATALOG_RATE_LIMIT = 1

    def code(user: str) -> int:
        caller = Caller(user, None, implied("reader"), interface="v2")
        monkeypatch.setitem(authentication.MODES, "embedded", lambda request: caller)
        return client.get("/v2/images").status_code

    assert [code("zoe"), code("zoe"), code("yves")] == [200, 429, 200]


def test_an_upload_is_refused_like_any_request(
    api: Any, make_image: Any, settings: Any
) -> None:
    image = make_image("queued")
    settings.IMAGECATALOG_RATE_LIMIT = 1
    api.member.get("/v2/images")

    path = f"/v2/images/{image.pk}/file"
    refused = api.member.put(path, b"data", content_type="application/octet-stream")

    assert refused.status_code == 429
    assert Image.objects.get().status == "queued"


def test_health_checks_and_sign_ins_are_not_limited(
    client: Client, settings: Any, db: None
) -> None:
    settings.IMAGECATALOG_RATE_LIMIT = 1

    for path in ("/healthcheck", "/admin/login/", "/identity/v3"):
        assert 429 not in [client.get(path).status_code for _ in range(3)]


def test_the_table_is_there_before_the_processes_are(settings: Any) -> None:
    there = "import imagecatalog.wsgi, sys; print('images.request_rate' in sys.modules)"
    loaded = subprocess.run(
        [sys.executable, "-c", there], cwd=ROOT, capture_output=True
    )
    assert loaded.stdout == b"True\n"


# Changes


@pytest.fixture
def twice(settings: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """A project may change an image twice."""
    settings.IMAGECATALOG_IMAGE_CHANGE_RATE = 2
    monkeypatch.setattr("images.request_rate.BURST", 1)


@pytest.mark.usefixtures("twice")
def test_an_image_is_not_changed_too_often(api: Any, make_image: Any) -> None:
    image, other = make_image(), make_image()

    def tag(image: Image, name: str) -> Any:
        return api.member.put(f"/v2/images/{image.pk}/tags/{name}")

    codes = [tag(image, name).status_code for name in "abc"]
    refused = tag(image, "d")

    assert codes == [204, 204, 429]
    assert (refused["Retry-After"], "too often" in refused.text) == ("30", True)
    image.refresh_from_db()
    assert (image.tags, Event.objects.count()) == (["a", "b"], 2)
    assert tag(other, "a").status_code == 204


@pytest.mark.usefixtures("twice")
def test_all_changes_count_together(make_image: Any, member: Any) -> None:
    image = make_image()
    lifecycle.update(image.pk, Changes({"name": "a"}), member)
    sharing.add(image.pk, "b", member)

    for change in (
        lambda: lifecycle.update(image.pk, Changes(properties={"a": "1"}), member),
        lambda: sharing.set_status(image.pk, "b", "accepted", member),
        lambda: sharing.remove(image.pk, "b", member),
    ):
        with pytest.raises(TooManyRequests):
            change()


@pytest.mark.usefixtures("twice")
def test_one_project_does_not_use_up_the_changes_of_another(
    api: Any, make_image: Any
) -> None:
    image = make_image(visibility="shared")
    api.member.post(
        f"/v2/images/{image.pk}/members",
        json.dumps({"member": "project-b"}),
        content_type="application/json",
    )
    path = f"/v2/images/{image.pk}/members/project-b"
    for status in ("accepted", "rejected", "accepted"):
        last = api.stranger.put(
            path, json.dumps({"status": status}), content_type="application/json"
        )

    assert last.status_code == 429
    assert api.member.put(f"/v2/images/{image.pk}/tags/a").status_code == 204


@pytest.mark.usefixtures("twice")
def test_changes_of_the_status_are_not_limited(make_image: Any, member: Any) -> None:
    image = make_image("active")

    for _ in range(3):
        lifecycle.deactivate(image.pk, member)
        lifecycle.reactivate(image.pk, member)

    assert Event.objects.count() == 6


@pytest.mark.usefixtures("twice")
def test_commands_are_not_limited(make_image: Any) -> None:
    image, command = make_image(), operator("command")

    for name in "abc":
        lifecycle.tag(image.pk, name, command)

    assert Event.objects.count() == 3
