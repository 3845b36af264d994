"""The index for Juju."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from images.publishing import juju
from images.publishing.snapshot import PublishedFamily
from tests.published_family import CURRENT, FAMILY, OLD

CLOUD = juju.Cloud("RegionOne", "https://identity.example.org/v3")
UPDATED = datetime(2026, 3, 1, tzinfo=UTC)
NOBLE = "com.ubuntu.cloud:server:24.04:amd64"


def ubuntu(
    name: str = "ubuntu-24.04", *aliases: str, **changes: Any
) -> PublishedFamily:
    properties = {"os_distro": "ubuntu", "os_version": "24.04"}
    current = replace(CURRENT, image_id=f"id-of-{name}", properties=properties)
    values = {"versions": (current, OLD), **changes}
    return replace(FAMILY, name=name, aliases=aliases, **values)


def products(*families: PublishedFamily) -> Any:
    """The products of the list to which the index leads."""
    found = juju.documents(map(juju.fragment, families), UPDATED, CLOUD)
    entry = json.loads(found["juju/streams/v1/index.json"])["index"][juju.CONTENT]
    listed = json.loads(found[f"juju/{entry['path']}"])["products"]
    assert entry["products"] == list(listed)
    return listed


def test_the_index_leads_to_the_current_image_in_the_cloud() -> None:
    found = juju.documents([juju.fragment(ubuntu())], UPDATED, CLOUD)

    updated = "Sun, 01 Mar 2026 00:00:00 +0000"
    path = "streams/v1/com.ubuntu.cloud-released-imagemetadata.json"
    place = {"region": "RegionOne", "endpoint": "https://identity.example.org/v3"}
    assert json.loads(found["juju/streams/v1/index.json"]) == {
        "format": "index:1.0",
        "updated": updated,
        "index": {
            "com.ubuntu.cloud:custom": {
                "cloudname": "custom",
                "clouds": [place],
                "datatype": "image-ids",
                "format": "products:1.0",
                "path": path,
                "products": [NOBLE],
                "updated": updated,
            }
        },
    }
    image = {"id": "id-of-ubuntu-24.04", **place}
    assert json.loads(found[f"juju/{path}"]) == {
        "content_id": "com.ubuntu.cloud:custom",
        "format": "products:1.0",
        "updated": updated,
        "products": {
            NOBLE: {
                "arch": "amd64",
                "version": "24.04",
                "versions": {"20260228": {"items": {image["id"]: image}}},
            }
        },
    }


@pytest.mark.parametrize(
    ("families", "chosen"),
    [
        ([ubuntu("a"), ubuntu("b")], None),
        ([ubuntu("a"), ubuntu("b", "ubuntu/24.04")], "id-of-b"),
        ([ubuntu("a", "ubuntu/24.04"), ubuntu("b", "ubuntu/24.04")], None),
        ([ubuntu("a"), ubuntu("b", architecture="aarch64")], "id-of-a"),
        ([FAMILY], None),
        ([ubuntu(versions=(OLD,))], None),
        ([replace(FAMILY, template={"properties": {"os_distro": "ubuntu"}})], None),
    ],
)
def test_a_release_of_ubuntu_is_one_image_or_none(
    families: list[PublishedFamily], chosen: str | None
) -> None:
    found = products(*families)

    items = found[NOBLE]["versions"]["20260228"]["items"] if NOBLE in found else {}
    assert list(items) == ([chosen] if chosen else [])
