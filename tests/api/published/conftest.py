"""Fixtures of the tests of published trees: families with versions that are published."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from images import families
from images.access import operator
from images.models import Image, PreparedVersion
from images.operations import wanted_digests
from images.publishing import duties

PROJECT = "project-a"
COMMAND = operator("command")
JANUARY = b"the bytes of January"


def work() -> None:
    """What the background worker does until it waits for the next change."""
    duties.prepare()
    wanted_digests.compute()
    PreparedVersion.objects.filter(ready_at=None).update(next_at="2020-01-01 00:00Z")
    duties.prepare()
    duties.publish()


@pytest.fixture(autouse=True)
def public(settings: Any) -> None:
    settings.IMAGECATALOG_PUBLISH = "public"


@pytest.fixture
def visitor() -> Client:
    """A client that never signs in."""
    return Client()


@pytest.fixture
def family(db: None) -> Callable[..., str]:
    """``family("debian-13", scope="project")``: a published family without versions."""

    def make(name: str = "debian-13", **values: Any) -> str:
        document = {
            "name": name,
            "architecture": "x86_64",
            "owner": PROJECT,
            "scope": "public",
            "publish": True,
        }
        families.create(COMMAND, document | values)
        return name

    return make


@pytest.fixture
def add(make_image: Any) -> Callable[..., Image]:
    """``add("20260101", b"…")``: an image that is promoted, as this version of debian-13."""

    def make(
        label: str,
        data: bytes = b"the bytes of an image",
        *,
        ref: str = "debian-13",
        promote: bool = True,
        **fields: Any,
    ) -> Image:
        values = {
            "name": "any",
            "visibility": "public",
            "owner": PROJECT,
            "disk_format": "qcow2",
            "container_format": "bare",
            "digests": {"sha256": hashlib.sha256(data).hexdigest()},
        }
        image: Image = make_image("active", data, **values | fields)
        families.add(COMMAND, ref, image.pk, label=label, promote=promote)
        return image

    return make


@pytest.fixture
def january(family: Any, add: Any) -> Image:
    """The image of the only version, 20260101, of the published family debian-13."""
    family()
    image: Image = add("20260101", JANUARY)
    work()
    return image


@pytest.fixture
def two(family: Any, add: Any) -> list[Image]:
    """The images of the versions 20260101 and 20260201 of the published family debian-13."""
    family()
    images = [add("20260101", b"January"), add("20260201", b"February")]
    work()
    return images
