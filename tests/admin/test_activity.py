"""The page "Activity": who changed what in the whole catalogue, with filters and export."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import datetime, timedelta
from io import StringIO
from typing import Any
from urllib.parse import urlencode

import pytest
from django.contrib.auth.models import User
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagecatalog.identity.models import Project
from images.admin import activity_page
from images.models import Event, Family, FamilyEvent, Image

MakeImage = Callable[..., Image]
PAGE = "/admin/activity/"


def record(image: Image, verb: str, **fields: Any) -> Event:
    """An event of an image; every further one is a minute older."""
    at = timezone.now() - timedelta(minutes=Event.objects.count())
    values = {"at": at, "to_status": image.status, "from_status": image.status}
    values |= {"interface": "v2", "actor": "alice", "project": "project-a"}
    return Event.objects.create(image=image, verb=verb, **{**values, **fields})


def shown(client: Client, **query: str) -> list[str]:
    """The sentences of the events on the page, newest first."""
    response = client.get(PAGE, query)
    assert response.status_code == 200
    cells = re.findall(r'data-label="Event"><bdi>([^<]*)<', response.content.decode())
    return [str(cell) for cell in cells]


def exported(client: Client, format: str, **query: str) -> Any:
    response = client.get(PAGE, {**query, "format": format})
    assert response.status_code == 200
    text = b"".join(response.streaming_content).decode()
    return (
        json.loads(text) if format == "json" else list(csv.DictReader(StringIO(text)))
    )


@pytest.fixture
def events(make_image: MakeImage) -> Image:
    """Five events of two images, and one of a family."""
    Project.objects.create(id="project-a", name="laboratory")
    image = make_image("active", name="debian")
    other = make_image("queued", name="fedora")
    record(image, "update", detail={"name": ["a", "b"], "tags": [[], ["x"]]})
    record(image, "add_member", actor="bob", detail={"member": "project-a"})
    record(image, "deactivate", interface="admin", reason="broken kernel")
    record(other, "fail", interface="worker", actor="", project="project-b")
    record(other, "create", request_id="req-1", from_status="")
    FamilyEvent.objects.create(
        family=Family.objects.create(name="debian-12", owner="project-a").pk,
        name="debian-12",
        verb="promote",
        to_version="3",
        actor="carol",
        interface="catalog",
        at=timezone.now() - timedelta(days=3),
    )
    return image


ALL = [
    "Changed name, tags",
    "Shared with project laboratory",
    "Deactivated",
    "Transfer failed",
    "Created",
    "Version 3 promoted",
]


@pytest.mark.usefixtures("events")
def test_the_page_tells_of_all_images_and_families_with_the_newest_first(
    root: Client,
) -> None:
    assert shown(root) == ALL
    page = root.get(PAGE).content.decode()
    assert "debian-12" in page
    assert "broken kernel" in page
    assert "laboratory" in page


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ({"event": "image.update"}, [0]),
        ({"event": "family.promote"}, [5]),
        ({"event": "family.update"}, []),
        ({"image": "debian"}, [0, 1, 2, 5]),
        ({"image": "fedora"}, [3, 4]),
        ({"actor": "bob"}, [1]),
        ({"actor": "carol"}, [5]),
        ({"project": "Laboratory"}, [0, 1, 2, 4]),
        ({"project": "project-b"}, [3]),
        ({"interface": "worker"}, [3]),
        ({"reason": "KERNEL"}, [2]),
        ({"request": "req-1"}, [4]),
        ({"until": f"{timezone.now() - timedelta(days=2):%Y-%m-%d}"}, [5]),
        ({"since": f"{timezone.now() - timedelta(days=1):%Y-%m-%d}"}, [0, 1, 2, 3, 4]),
        ({"actor": "alice", "image": "debian"}, [0, 2]),
    ],
)
def test_a_filter_finds_its_events(
    root: Client, query: dict[str, str], numbers: list[int]
) -> None:
    assert shown(root, **query) == [ALL[number] for number in numbers]
    assert [it["event"] for it in exported(root, "json", **query)] == shown(
        root, **query
    )


def test_an_image_is_found_by_its_id(root: Client, events: Image) -> None:
    assert shown(root, image=events.pk) == ALL[:3]


@pytest.mark.usefixtures("events")
def test_pages_follow_each_other_without_a_gap(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_page, "ROWS", 2)
    # Events of one moment, and of both kinds.
    for model in (Event, FamilyEvent):
        model.objects.update(at=timezone.now())
    found, url = [], PAGE
    while url:
        page = root.get(url).content.decode()
        found += re.findall(r'data-label="Event"><bdi>([^<]*)<', page)
        older = re.search(r'href="([^"]+)" rel="next"', page)
        url = older[1].replace("&amp;", "&") if older else ""

    assert sorted(found) == sorted(ALL)


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize(
    ("query", "pages"),
    [
        # Of all events, the search reads two and the end of its reach at a time.
        ({"reason": "kernel"}, [["Deactivated"], []]),
        ({"interface": "worker"}, [[], ["Transfer failed"]]),
        # Of the indexed filters, that with the fewest events.
        ({"actor": "alice", "request": "req-1"}, [["Created"]]),
        (
            {"actor": "alice", "interface": "v2"},
            [["Changed name, tags", "Created"], []],
        ),
        ({"interface": "catalog"}, [[], ["Version 3 promoted"]]),
    ],
)
def test_a_search_reads_a_limited_number_of_events_and_goes_on_there(
    root: Client,
    query: dict[str, str],
    pages: list[list[str]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(activity_page, "SEARCHED", 2)
    monkeypatch.setattr(activity_page, "SEARCHED_AT_ONCE", 2)
    found, url = [], f"{PAGE}?{urlencode(query)}"
    while url:
        page = root.get(url).content.decode()
        found.append(re.findall(r'data-label="Event"><bdi>([^<]*)<', page))
        older = re.search(r'href="([^"]+)" rel="next">Search older events<', page)
        assert bool(older) == ("The search has read the events since" in page)
        url = older[1].replace("&amp;", "&") if older else ""

    assert found == pages
    rows = exported(root, "json", **query)
    assert [row["event"] for row in rows] == [it for page in pages for it in page]


@pytest.mark.usefixtures("events")
@pytest.mark.parametrize("format", ["csv", "json"])
def test_an_export_has_every_event_also_of_later_pages(
    root: Client, format: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activity_page, "ROWS", 2)
    monkeypatch.setattr(activity_page, "BATCH", 2)

    rows = exported(root, format)

    assert [row["event"] for row in rows] == ALL
    assert rows[0]["subject_name"] == "debian"
    assert rows[0]["project_name"] == "laboratory"
    assert rows[2]["reason"] == "broken kernel"
    assert rows[5]["after"] == "3"
    assert datetime.fromisoformat(rows[0]["at"]).tzinfo
    changes = rows[0]["detail"]
    assert (json.loads(changes) if format == "csv" else changes)["name"] == ["a", "b"]


def test_an_empty_export_is_well_formed(root: Client) -> None:
    assert exported(root, "json") == []
    assert exported(root, "csv") == []


def test_a_spreadsheet_computes_nothing_of_an_export(
    root: Client, make_image: MakeImage
) -> None:
    record(make_image(name="=HYPERLINK(1)"), "update", reason="+1")

    (row,) = exported(root, "csv")

    assert row["subject_name"] == "'=HYPERLINK(1)"
    assert row["reason"] == "'+1"


def test_properties_that_the_user_cannot_read_are_in_neither_page_nor_export(
    root: Client, make_image: MakeImage, hide_property: Callable[[str], None]
) -> None:
    image = make_image(name="disk")
    record(image, "update", detail={"secret": [None, "hidden"], "name": ["a", "b"]})
    hide_property("secret")

    assert shown(root) == ["Changed name"]
    (row,) = exported(root, "json")
    assert row["detail"] == {"name": ["a", "b"]}


@pytest.mark.usefixtures("events")
def test_a_viewer_sees_the_activity_and_a_user_without_a_role_does_not(
    signed_in: Callable[..., Client],
) -> None:
    client = signed_in("viewer")
    assert shown(client) == ALL

    User.objects.get(username="viewer").groups.clear()

    assert client.get(PAGE).status_code == 403
    assert client.get(PAGE, {"format": "csv"}).status_code == 403
    assert "Changed name" not in client.get("/admin/").content.decode()


@pytest.mark.usefixtures("events")
def test_the_front_page_has_the_ten_newest_events(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image(name="busy")
    for number in range(10):
        later = timezone.now() + timedelta(minutes=number)
        record(image, "verify", at=later, detail={"damage": "", "store": "local"})

    page = root.get("/admin/").content.decode()

    assert page.count("Copy in store local is intact again") == 10
    assert "Changed name" not in page


@pytest.mark.parametrize(
    "query",
    [
        "before=x",
        "before=2026-01-01~image~1",
        "event=odd",
        "interface=odd",
        "since=x",
        "before=2026-01-01T00:00:00%2B00:00~image~99999999999999999999",
    ],
)
def test_nonsense_is_no_failure(root: Client, query: str) -> None:
    assert root.get(f"{PAGE}?{query}").status_code in (200, 400)


@pytest.mark.parametrize("number", [1, 40])
def test_the_page_asks_as_often_for_many_as_for_few(
    root: Client, make_image: MakeImage, number: int
) -> None:
    for _ in range(number):
        image = make_image(name="disk")
        record(image, "update", project=f"project-{image.pk}")
        FamilyEvent.objects.create(family=image.pk, name="f", verb="add")

    with CaptureQueriesContext(connection) as queries:
        assert root.get(PAGE).status_code == 200

    assert len(queries) <= 7, [query["sql"][:150] for query in queries]
