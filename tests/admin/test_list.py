"""The list: saved views, filters, search; as many questions for many rows as for few."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagecatalog.identity.models import Project
from images.admin import changelist
from images.models import Image, Transfer, TransferStatus
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]
CHECKSUM = "8a6cc7ec5a4ae8ee0b1c7e1fd7d1d5c1"


def shown(client: Client, query: str = "") -> set[str]:
    """The names of the images that the list shows."""
    page = client.get(LIST + query).content.decode()
    return set(re.findall(r'/change/">([^<]+)</a><br>', page))


def failed(image: Image, code: str = "body-incomplete", hours: int = 0) -> None:
    Transfer.objects.create(
        image=image,
        kind="upload",
        status=TransferStatus.FAILED,
        store="local",
        key="k",
        worker="w",
        error_code=code,
        error="It broke off.",
        ended_at=timezone.now() - timedelta(hours=hours),
    )


@pytest.fixture
def all_kinds(make_image: MakeImage) -> dict[str, Image]:
    """One image for each saved view, called like it."""
    images = {
        "active": make_image("active", name="active"),
        "queued": make_image("queued", name="queued"),
        "moving": make_image("saving", name="moving"),
        "stuck": make_image("saving", name="stuck"),
        "failed": make_image("queued", name="failed"),
        "long failed": make_image("killed", name="long failed"),
        "trashed": make_image("pending_delete", name="trashed"),
        "deleted": make_image("deleted", name="deleted"),
        "damaged": make_image("active", name="damaged"),
    }
    images["stuck"].transfers.update(heartbeat_at=timezone.now() - timedelta(hours=1))
    failed(images["failed"])
    failed(images["long failed"], hours=30)
    failed(images["queued"], code="gone")
    images["active"].locations.update(verified_at=timezone.now())
    images["damaged"].locations.update(damage="other bytes")
    return images


@pytest.mark.parametrize(
    ("view", "names"),
    [
        (
            "",
            {
                "active",
                "queued",
                "moving",
                "stuck",
                "failed",
                "long failed",
                "damaged",
            },
        ),
        ("moving", {"moving", "stuck"}),
        ("stuck", {"stuck"}),
        ("failed", {"failed", "long failed"}),
        ("failed-today", {"failed"}),
        ("without-data", {"queued", "failed", "long failed"}),
        ("unverified", {"damaged"}),
        ("damaged", {"damaged"}),
        ("trash", {"trashed"}),
        ("deleted", {"deleted"}),
    ],
)
def test_a_saved_view_shows_what_it_says(
    root: Client, all_kinds: dict[str, Image], view: str, names: set[str]
) -> None:
    assert shown(root, f"?view={view}") == names


@pytest.mark.parametrize(
    "query",
    [
        "status=active",
        "visibility=public",
        "owner=project-b",
        "format=qcow2",
        "container=ova",
        "store=local",
        "protected=1",
        "hidden=1",
        "tag=wanted",
        "property=os_distro%3Ddebian",
        "size_min=1+KiB",
        "size_min=1K&size_max=1.5KiB",
        "created_to=2020-12-31",
        "created_from=2020-01-01&created_to=2020-01-01",
        "q=the+want",
        "q=WANTED",
        "q=wanted",
        "q=c0ffee00",
        "q=c0ffee00-aaaa-4bbb-8ccc-0123456789ab",
        f"q={CHECKSUM}",
        f"q={'ab' * 64}",
        f"q={'cd' * 32}",
    ],
)
def test_a_filter_and_a_search_find_the_one(
    root: Client, make_image: MakeImage, query: str
) -> None:
    make_image("queued", name="another", disk_format="raw", tags=["another"])
    make_image(
        "active",
        id="c0ffee00-aaaa-4bbb-8ccc-0123456789ab",
        name="the WANTED one",
        visibility="public",
        owner="project-b",
        disk_format="qcow2",
        container_format="ova",
        protected=True,
        os_hidden=True,
        tags=["wanted"],
        properties={"os_distro": "debian"},
        size=1500,
        checksum=CHECKSUM,
        os_hash_value="ab" * 64,
        digests={"sha256": "cd" * 32},
        created_at=timezone.datetime(
            2020, 1, 1, 12, tzinfo=timezone.get_current_timezone()
        ),
    )

    assert shown(root, f"?{query}") == {"the WANTED one"}


@pytest.mark.parametrize(
    ("algorithm", "digits"),
    [("sha1", 40), ("sha256", 64), ("sha384", 96), ("sha512", 128)],
)
def test_an_image_is_found_by_each_known_digest(
    root: Client, make_image: MakeImage, algorithm: str, digits: int
) -> None:
    make_image("active", name="another")
    make_image("active", name="wanted", digests={algorithm: "c" * digits})

    assert shown(root, f"?q={'C' * digits}") == {"wanted"}


def test_what_is_no_digest_of_an_image_is_found_in_a_name(
    root: Client, make_image: MakeImage
) -> None:
    revision = "d" * 40  # as long as a SHA-1
    make_image("active", name=f"built of {revision}")

    assert shown(root, f"?q={revision}") == {f"built of {revision}"}


@pytest.mark.parametrize("text", ["c0ffee0a", "C0FFEE0A", "C0FFEE0A-AAAA"])
@pytest.mark.parametrize(
    "image_id",
    ["c0ffee0a-aaaa-4bbb-8ccc-0123456789ab", "C0FFEE0A-AAAA-4BBB-8CCC-0123456789AB"],
)
def test_the_beginning_of_an_id_is_found_in_either_case(
    root: Client, make_image: MakeImage, image_id: str, text: str
) -> None:
    make_image(name="another", id="c0ffee0b-aaaa-4bbb-8ccc-0123456789ab")
    make_image(name="wanted", id=image_id)

    assert shown(root, f"?q={text}") == {"wanted"}


def test_an_id_is_found_as_it_is_written(root: Client, make_image: MakeImage) -> None:
    make_image(name="wanted", id="C0ffee0A-aaaa-4bbb-8ccc-0123456789ab")

    assert shown(root, "?q=C0ffee0A") == {"wanted"}


def test_filters_go_together(root: Client, make_image: MakeImage) -> None:
    make_image("active", name="a", tags=["x"])
    make_image("queued", name="b", tags=["x"])
    make_image("active", name="c", tags=["y"])

    assert shown(root, "?tag=x&status=active") == {"a"}


@pytest.mark.parametrize("status", ["pending_delete", "deleted"])
def test_a_status_of_deleted_images_finds_them(
    root: Client, make_image: MakeImage, status: str
) -> None:
    make_image(status, name="gone")

    assert shown(root, f"?status={status}") == {"gone"}


@pytest.mark.parametrize(
    "query",
    [
        "size_min=much",
        "view=nonsense",
        "property=os_distro",
        "status=odd",
        "o=99.-x",
        "p=9999",
        "size_min=999999999999999999T",
        "created_to=9999-12-31",
        "created_from=0001-01-01",
    ],
)
def test_nonsense_is_no_failure(
    root: Client, make_image: MakeImage, query: str
) -> None:
    make_image("active")

    response = root.get(f"{LIST}?{query}", follow=True)

    assert response.status_code == 200


def test_a_filter_that_is_not_understood_shows_nothing_and_says_so(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="disk")

    page = root.get(f"{LIST}?size_min=much").content.decode()

    assert "is not a size" in page
    assert "disk" not in page


def test_more_than_are_counted_are_said_to_be_more(
    root: Client, make_image: MakeImage, monkeypatch: Any
) -> None:
    monkeypatch.setattr(changelist, "COUNTED", 2)
    for _ in range(3):
        make_image("active")

    assert "More than 2 images" in root.get(LIST).content.decode()


def test_names_are_sorted_with_the_nameless_first(
    root: Client, make_image: MakeImage
) -> None:
    for name in ("b", None, "a"):
        make_image("queued", name=name)

    page = root.get(f"{LIST}?o=2").content.decode()

    assert re.findall(r'/change/">([^<]+)</a><br>', page) == ["unnamed image", "a", "b"]


def test_a_project_is_shown_by_its_name(root: Client, make_image: MakeImage) -> None:
    Project.objects.create(id="project-a", name="laboratory")
    make_image("queued")

    assert "laboratory" in root.get(LIST).content.decode()


@pytest.mark.parametrize(
    ("seconds", "shown"), [(7200, "in 1\N{NO-BREAK SPACE}hour"), (0, "due now")]
)
def test_the_trash_says_when_an_image_will_be_deleted(
    seconds: int, shown: str, root: Client, make_image: MakeImage, settings: Any
) -> None:
    settings.IMAGECATALOG_SCRUB_TIME = seconds
    make_image("pending_delete")

    page = root.get(f"{LIST}?view=trash").content.decode()

    assert "Will be deleted" in page
    assert shown in page


@pytest.mark.parametrize("images", [1, 40])
@pytest.mark.parametrize(
    "query", ["", "?view=stuck", "?tag=t", "?q=disk", "?view=trash"]
)
def test_the_list_asks_as_often_for_many_as_for_few(
    root: Client, make_image: MakeImage, images: int, query: str
) -> None:
    for number in range(images):
        status = ("active", "saving", "pending_delete", "queued")[number % 4]
        image = make_image(status, name=f"disk {number}", tags=["t"])
        image.locations.create(store="local", key=f"{image.pk}.2")

    with CaptureQueriesContext(connection) as queries:
        assert root.get(LIST + query).status_code == 200

    searches = (
        3 if "q=" in query else 0
    )  # for projects, the index, and the few it finds
    assert len(queries) <= 8 + searches, [it["sql"][:150] for it in queries]
    assert not any(
        "COUNT(*)" in it["sql"] and "LIMIT" not in it["sql"] for it in queries
    )
