"""The tree for Juju below /pub/juju/, which a setting switches on."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.test import Client

from tests.api.published.conftest import work

INDEX = "/pub/juju/streams/v1/index.json"


def test_juju_finds_an_image_while_its_cloud_is_set(
    visitor: Client, family: Callable[..., str], add: Callable[..., Any], settings: Any
) -> None:
    settings.IMAGECATALOG_PUBLISH_JUJU = ("RegionOne", "https://identity.example.org")
    family()
    image = add("1", properties={"os_distro": "ubuntu", "os_version": "24.04"})
    work()

    entry = visitor.get(INDEX).json()["index"]["com.ubuntu.cloud:custom"]
    assert str(image.pk) in visitor.get(f"/pub/juju/{entry['path']}").content.decode()
    assert "index.json" in visitor.get("/pub/juju/streams/v1/").content.decode()

    settings.IMAGECATALOG_PUBLISH_JUJU = ()
    work()
    for path in (INDEX, "/pub/juju/", "/pub/juju"):
        assert visitor.get(path).status_code == 404
