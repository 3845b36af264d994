"""The front page: its numbers, its picture of the life cycle, its cost."""

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
from images.admin import graph
from images.models import EDGES, Image, Statistics, Status, WorkerPause
from images.operations import overview

MakeImage = Callable[..., Image]


def numbers(client: Client) -> dict[str, str]:
    page = client.get("/admin/").content.decode()
    return dict(re.findall(r'data-live="([a-z_-]+)">([^<]*)<', page))


def test_the_tiles_count_and_lead_to_what_they_count(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active")
    make_image("saving").transfers.all().delete()
    make_image("importing")
    make_image("pending_delete")

    found = numbers(root)

    assert found["tile-stuck"] == "1"
    assert found["tile-moving"] == "2"
    assert found["tile-trash"] == "1"
    assert found["tile-images"] == "3"
    assert (
        'href="/admin/images/image/?view=stuck"' in root.get("/admin/").content.decode()
    )


@pytest.mark.parametrize(
    ("tile", "view"),
    [
        ("stuck", "stuck"),
        ("failed", "failed-today"),
        ("moving", "moving"),
        ("damaged", "damaged"),
    ],
)
def test_a_tile_counts_what_its_list_has(
    root: Client, make_image: MakeImage, tile: str, view: str
) -> None:
    make_image("saving").transfers.all().delete()
    for hours in (1, 23, 25):
        make_image("queued").transfers.create(
            kind="copy",
            store="local",
            status="failed",
            ended_at=timezone.now() - timedelta(hours=hours),
        )
    make_image("importing")
    make_image("active").locations.update(damage="wrong-digest: x")

    listed = root.get(f"/admin/images/image/?view={view}").context["cl"].result_count

    assert numbers(root)[f"tile-{tile}"] == str(listed) != "0"


def test_each_status_has_its_number_and_its_link(
    root: Client, make_image: MakeImage
) -> None:
    for status in Status.values:
        make_image(status)

    found, page = numbers(root), root.get("/admin/").content.decode()

    for status in Status.values:
        assert found[f"status-{status}"] == "1"
        assert f'href="/admin/images/image/?status={status}"' in page


def test_the_picture_has_every_edge_and_no_other() -> None:
    lines = graph.diagram()["lines"]

    assert len(lines) == len({(edge.source, edge.target) for edge in EDGES})


def test_every_status_stands_somewhere() -> None:
    assert set(graph.CENTRES) == set(Status.values)


def test_the_numbers_of_the_poll_are_those_of_the_page(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active")

    assert root.get("/admin/live/").json()["live"] == numbers(root)


@pytest.mark.parametrize("images", [1, 30])
def test_the_front_page_asks_as_often_for_many_as_for_few(
    root: Client, make_image: MakeImage, images: int, monkeypatch: Any
) -> None:
    monkeypatch.setattr(overview, "QUICK", 60.0)  # seconds; on a busy machine, too
    for number in range(images):
        make_image(Status.values[number % len(Status.values)], owner=f"p{number}")

    with CaptureQueriesContext(connection) as queries:
        root.get("/admin/")

    assert len(queries) <= 22, [query["sql"][:150] for query in queries]


def test_the_largest_projects_are_shown_by_name(
    root: Client, make_image: MakeImage
) -> None:
    project = Project.objects.create(name="Data Lab")
    make_image("active", owner=project.pk)
    make_image("active", owner="unknown-here")

    page = root.get("/admin/").content.decode().partition('id="projects"')[2]

    assert re.findall(
        r'<th scope="row"><a href="/admin/identity/[^>]*>([^<]*)</a></th>', page
    ) == [
        "Data Lab",
        "unknown-here",
    ]


# A large catalogue


@pytest.fixture
def large(monkeypatch: Any) -> None:
    """However small, it counts as one that takes long to count."""
    monkeypatch.setattr(overview, "QUICK", 0.0)


def test_a_large_catalogue_is_not_counted_by_the_page(
    root: Client, make_image: MakeImage, large: None
) -> None:
    make_image("active")
    assert numbers(root)["status-active"] == "1"

    make_image("active")

    assert numbers(root)["status-active"] == "1"
    assert Statistics.objects.count() == 1


def test_the_worker_counts_a_large_catalogue_again(
    root: Client, make_image: MakeImage, large: None
) -> None:
    numbers(root)
    make_image("active")
    Statistics.objects.update(taken_at=timezone.now() - timedelta(seconds=90))

    overview.recount()

    assert numbers(root)["status-active"] == "1"


def test_without_a_worker_the_page_counts_in_the_end(
    root: Client, make_image: MakeImage, large: None, monkeypatch: Any
) -> None:
    numbers(root)
    make_image("active")
    monkeypatch.setattr(overview, "FORGET", 0.0)

    assert numbers(root)["status-active"] == "1"


def test_the_worker_leaves_a_small_catalogue_uncounted(make_image: MakeImage) -> None:
    make_image("active")

    overview.recount()

    assert not Statistics.objects.exists()


def test_the_bytes_of_each_project_are_listed_by_what_they_count_for(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", b"x" * 100, owner="p")
    make_image("pending_delete", b"x" * 20, owner="p")
    upload = make_image("uploading", owner="p").transfers.get()
    upload.bytes_reserved = 70
    upload.save(update_fields=["bytes_reserved"])
    upload.chunks.create(start=0, size=30, key="ab/chunk", status="stored")
    make_image("active", b"x", owner=None)

    page = root.get("/admin/").content.decode().partition('id="projects"')[2]

    rows = re.findall(
        r'<th scope="row">(?:<a href="/admin/identity/[^>]*>)?([^<]*)(?:</a>)?</th>(.*)</tr>',
        page,
    )
    assert [(name, re.findall(">([^<]+)</td>", cells)) for name, cells in rows] == [
        ("p", ["100 B", "70 B", "30 B", "20 B"]),
        ("(none)", ["1 B", "0 B", "0 B", "0 B"]),
    ]


def test_a_pause_of_the_workers_is_announced(root: Client) -> None:
    assert "paused" not in root.get("/admin/").content.decode()
    WorkerPause.objects.create(reason="Restored from a <backup>.")

    page = root.get("/admin/").content.decode()

    assert "The background workers are paused since" in page
    assert "Restored from a &lt;backup&gt;." in page
