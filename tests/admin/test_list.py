"""The list: saved views, filters, search; as many questions for many rows as for few."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Callable
from datetime import timedelta
from html import unescape
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagecatalog.identity.models import Project
from images.admin import changelist, image_export, list_options, view_counts
from images.models import (
    Image,
    ListOptions,
    SavedFilter,
    Transfer,
    TransferStatus,
)
from tests.admin.conftest import LIST

MakeImage = Callable[..., Image]
CHECKSUM = "8a6cc7ec5a4ae8ee0b1c7e1fd7d1d5c1"


def shown(client: Client, query: str = "") -> set[str]:
    """The names of the images that the list shows."""
    page = client.get(LIST + query, follow=True).content.decode()
    return set(names(page))


def names(page: str) -> list[str]:
    """The names of the images in a list, in their order."""
    return re.findall(r'/change/[^"]*"><bdi>([^<]+)</bdi></a><br>', page)


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


def test_a_view_that_does_not_exist_is_named(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="disk")

    page = unescape(root.get(f"{LIST}?view=nosuch").content.decode())

    assert "There is no view “nosuch”." in page
    assert "0 images" not in page
    assert "No images match" not in page
    assert "Correct the filters" in page


def test_more_than_are_counted_are_said_to_be_more(
    root: Client, make_image: MakeImage, monkeypatch: Any
) -> None:
    monkeypatch.setattr(changelist, "COUNTED", 2)
    for _ in range(3):
        make_image("active")

    page = root.get(LIST).content.decode()
    assert "More than 2 images" in page
    assert "2 images\n" not in page
    assert not re.search("(Select all|All) [0-9]", page)


def test_all_that_match_are_offered_by_their_number(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_options, "PAGE_SIZES", (2,))
    for _ in range(3):
        make_image("active")

    page = root.get(LIST).content.decode()

    assert "Select all 3 images" in page
    assert "All 3 selected" in page


def test_names_are_sorted_with_the_nameless_first(
    root: Client, make_image: MakeImage
) -> None:
    for name in ("b", None, "a"):
        make_image("queued", name=name)

    page = root.get(f"{LIST}?o=2").content.decode()

    assert names(page) == ["unnamed image", "a", "b"]


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

    assert "Moved to the trash" in page
    assert "Deleted permanently" in page
    assert shown in page


@pytest.mark.parametrize("images", [1, 40])
@pytest.mark.parametrize(
    "query",
    ["", "?view=stuck", "?tag=t", "?q=disk", "?q=disk&view=trash", "?view=trash"],
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

    # For projects, the index, and the few images that it finds.
    searches = 3 if "q=" in query else 0
    assert len(queries) <= 13 + searches, [it["sql"][:150] for it in queries]
    images = [it["sql"] for it in queries if 'FROM "images_image"' in it["sql"]]
    counts = [sql for sql in images if "COUNT(*)" in sql]
    assert [sql for sql in counts if "LIMIT" not in sql] == []


def test_the_trash_is_filtered_by_the_stores_that_have_its_data(
    root: Client, make_image: MakeImage
) -> None:
    for store in ("local", "other"):
        image = make_image("pending_delete", name=f"in {store}")
        image.locations.update(store=store)

    assert shown(root, "?view=trash&store=local") == {"in local"}


def test_an_image_whose_import_failed_says_so_until_the_next_one_begins(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("queued")
    cancelled = make_image("queued")
    failed(image)
    failed(cancelled, code="gone")

    page = root.get(LIST).content.decode()
    polled = root.get(f"{LIST}live/?ids={image.pk},{cancelled.pk}").json()["images"]

    assert page.count(">Queued · failed</span>") == 1
    assert polled[image.pk]["label"] == "Queued · failed"
    assert polled[cancelled.pk]["label"] == "Queued"
    image.transfers.create(kind="copy", status="waiting", store="local", key="k2")
    assert "Queued · failed" not in root.get(LIST).content.decode()


def test_the_filter_by_tag_suggests_tags(root: Client, make_image: MakeImage) -> None:
    make_image("active", tags=["lts", "golden"])
    make_image("queued", tags=["lts", "ubuntu-lts"])
    make_image("deleted", tags=["lts-old"])

    found = root.get(f"{LIST}tags/?term=LTS").json()

    assert found == {"names": ["lts", "ubuntu-lts"]}
    assert f'data-suggest="{LIST}tags/"' in root.get(LIST).content.decode()


# Tabs


def tabs(client: Client, query: str = "") -> dict[str, tuple[str, str]]:
    """The tabs of the list: title -> (URL, count)."""
    found = client.get(LIST + query).context["cl"].tabs
    return {str(tab["title"]): (tab["url"], tab["count"]) for tab in found}


def test_tabs_count_their_images(root: Client, all_kinds: dict[str, Image]) -> None:
    counts = {title: count for title, (_url, count) in tabs(root).items()}

    assert counts == {
        "All": "7",
        "In progress": "2",
        "Stuck": "1",
        "Failed": "2",
        "Failed in the last 24 h": "1",
        "Without data": "3",
        "Unverified": "1",
        "Damaged": "1",
        "Trash": "1",
        "Deleted": "1",
    }


def test_tabs_keep_the_search_and_the_filters_and_count_with_them(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="ubuntu", tags=["x"])
    make_image("pending_delete", name="ubuntu", tags=["x"])
    make_image("pending_delete", name="ubuntu")

    found = tabs(root, "?q=ubuntu&tag=x&o=2&p=1")

    assert found["Trash"] == ("?o=2&q=ubuntu&tag=x&view=trash", "1")
    assert found["All"] == ("?o=2&q=ubuntu&tag=x", "1")
    assert found["Unverified"][1] == ""  # too slow
    assert tabs(root, "?q=ubuntu&view=trash")["All"] == ("?q=ubuntu", "1")


def test_a_tab_with_very_many_images_says_so(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_counts, "COUNTED", 1)
    make_image("active")
    make_image("active")

    assert tabs(root)["All"][1] == "1+"


def test_tabs_say_at_least_how_many_match_if_too_many_match_to_count(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    for _ in range(3):
        make_image("queued", name="disk")
    make_image("pending_delete", name="disk")

    assert tabs(root, "?q=disk")["Without data"][1] == "3"
    monkeypatch.setattr(view_counts, "READ", 1)
    found = {title: count for title, (_url, count) in tabs(root, "?q=disk").items()}

    assert found["Without data"] == "2+"  # of the one that is read, and one further
    assert found["In progress"] == ""
    assert found["Trash"] == "1"


def test_fewer_results_of_a_search_are_counted(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(view_counts, "COUNTED", 2)
    for _ in range(3):
        make_image(name="disk")

    assert "More than 2 images" in root.get(LIST, {"q": "disk"}).content.decode()
    assert "3 images" in root.get(LIST, {"tag": ""}, follow=True).content.decode()


# The address


def test_empty_parameters_are_taken_out_of_the_address(root: Client) -> None:
    response = root.get(f"{LIST}?q=&status=&tag=a%26b&owner=&tag=c")

    assert response.status_code == 302
    assert response.headers["Location"] == "?tag=a%26b&tag=c"
    assert root.get(f"{LIST}?q=&status=").headers["Location"] == LIST


def test_a_search_is_a_chip_and_can_be_cleared_with_the_filters(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="one")

    page = root.get(f"{LIST}?q=nothing&tag=x&view=unverified&o=2")

    chips = {chip["label"]: chip["url"] for chip in page.context["cl"].chips}
    assert chips == {
        "Search": "?o=2&tag=x&view=unverified",
        "Tag": "?o=2&q=nothing&view=unverified",
    }
    assert page.context["cl"].clear_url == "?view=unverified&o=2"


def test_a_search_keeps_the_view_and_the_order(root: Client) -> None:
    page = root.get(f"{LIST}?view=trash&o=2").content.decode()

    form = page.split('id="changelist-search"')[1].split("</form>")[0]
    assert '<input type="hidden" name="view" value="trash">' in form
    assert '<input type="hidden" name="o" value="2">' in form


def test_the_link_to_an_image_names_the_list_and_the_position(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", tags=["x"])
    image = make_image("active", tags=["x"])

    page = unescape(root.get(f"{LIST}?tag=x&o=-2").content.decode())

    filters = "_changelist_filters=o%3D-2%26tag%3Dx"
    assert f"{LIST}{image.pk}/change/?{filters}&at=" in page


# Columns and order


def test_a_user_chooses_columns_and_the_number_of_rows(
    root: Client, make_image: MakeImage, signed_in: Callable[..., Client]
) -> None:
    make_image(
        "active",
        tags=["golden"],
        properties={"os_distro": "debian", "os_version": "13"},
    )
    assert "golden" not in root.get(LIST).content.decode()

    form = {
        "column": ["tags_shown", "system", "nonsense"],
        "page_size": "50",
        "query": "tag=golden",
    }
    response = root.post(f"{LIST}options/", form)

    assert response.headers["Location"] == f"{LIST}?tag=golden"
    page = root.get(LIST)
    assert "golden" in page.content.decode()
    assert "debian 13" in page.content.decode()
    assert page.context["cl"].list_per_page == 50
    assert "field-owner_shown" not in page.content.decode()
    other = signed_in("viewer").get(LIST)
    assert "field-owner_shown" in other.content.decode()
    assert other.context["cl"].list_per_page == 25


def test_a_choice_that_is_none_is_the_default(root: Client) -> None:
    root.post(f"{LIST}options/", {"page_size": "1000000", "query": "%00%ff&&=;"})

    assert ListOptions.objects.get().page_size == 25
    assert root.get(LIST).status_code == 200


@pytest.mark.parametrize(
    ("column", "value", "first"),
    [
        ("size_shown", {"size": 9}, "-"),
        ("status_badge", {"status": "active"}, ""),
        ("changed", {"updated_at": "2030-01-01T00:00Z"}, "-"),
        ("visibility", {"visibility": "community"}, ""),
    ],
)
def test_the_list_is_sorted_by_a_column(
    root: Client, make_image: MakeImage, column: str, value: dict[str, Any], first: str
) -> None:
    root.post(f"{LIST}options/", {"column": list(list_options.COLUMNS)})
    make_image("queued", name="a")
    wanted = make_image("queued", name="wanted")
    make_image("queued", name="b")
    Image.objects.exclude(pk=wanted.pk).update(
        size=None, updated_at="2020-01-01T00:00Z"
    )
    Image.objects.filter(pk=wanted.pk).update(**value)

    page = root.get(f"{LIST}?sort={first}{column}").content.decode()

    assert names(page)[0] == "wanted"


def test_the_trash_is_sorted_by_the_time_of_deletion(
    root: Client, make_image: MakeImage
) -> None:
    for day, name in ((2, "b"), (1, "a"), (3, "c")):
        image = make_image("pending_delete", name=name)
        Image.objects.filter(pk=image.pk).update(deleted_at=f"2026-01-0{day}T00:00Z")

    page = root.get(f"{LIST}?view=trash&sort=-trash_age").content.decode()

    assert names(page) == ["c", "b", "a"]


def test_the_views_of_what_failed_say_why(
    root: Client, all_kinds: dict[str, Image]
) -> None:
    failures = root.get(f"{LIST}?view=failed").content.decode()
    damaged = root.get(f"{LIST}?view=damaged").content.decode()
    stuck = root.get(f"{LIST}?view=stuck").content.decode()

    assert "It broke off." in failures
    assert "In store local: other bytes" in damaged
    assert "The transfer shows no activity." in stuck
    assert "It broke off." not in root.get(LIST).content.decode()


# Saved filters


def test_a_user_saves_the_filters_of_the_list_and_removes_them(
    root: Client, make_image: MakeImage, signed_in: Callable[..., Client]
) -> None:
    make_image("active", name="one", tags=["x"], size=1)
    make_image("active", name="two", tags=["x"], size=2)
    make_image("active", name="three")
    query = root.get(f"{LIST}?tag=x&sort=-size_shown").context["cl"].saved_query
    assert query == "sort=-size_shown&tag=x"

    root.post(f"{LIST}saved/", {"name": "mine", "query": query})

    page = root.get(LIST)
    (link,) = page.context["cl"].saved_links
    assert (link["name"], link["current"]) == ("mine", False)
    # The number of a column changes with the choice of columns, and its name does not.
    root.post(f"{LIST}options/", {"column": ["size_shown"]})
    opened = root.get(LIST + link["url"])
    assert names(opened.content.decode()) == ["two", "one"]
    assert opened.context["cl"].saved_links[0]["current"]
    assert not signed_in("viewer").get(LIST).context["cl"].saved_links

    root.post(f"{LIST}saved/", {"remove": "mine", "query": query})
    assert not SavedFilter.objects.exists()


@pytest.mark.parametrize(
    ("form", "sentence"),
    [
        ({"name": " ", "query": "tag=x"}, "Enter a name"),
        ({"name": "n" * 65, "query": "tag=x"}, "Enter a name"),
        ({"name": "n", "query": "tag=" + "x" * 2000}, "too long to be saved"),
    ],
)
def test_a_filter_that_cannot_be_saved_is_refused_with_a_sentence(
    root: Client, form: dict[str, str], sentence: str
) -> None:
    page = root.post(f"{LIST}saved/", form, follow=True).content.decode()

    assert sentence in page
    assert not SavedFilter.objects.exists()


def test_a_user_has_a_limited_number_of_saved_filters(
    root: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(list_options, "MOST_FILTERS", 1)
    root.post(f"{LIST}saved/", {"name": "first", "query": ""})

    page = root.post(f"{LIST}saved/", {"name": "second", "query": ""}, follow=True)

    assert "You have 1 saved filters" in page.content.decode()
    assert SavedFilter.objects.get().name == "first"


# Export


def exported(client: Client, kind: str, query: str = "") -> str:
    response = client.get(f"{LIST}export/{kind}/{query}")
    assert response.status_code == 200
    assert response.streaming
    return b"".join(response.streaming_content).decode()


def test_the_list_is_exported_as_it_is_filtered(
    root: Client, make_image: MakeImage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image_export, "BATCH", 2)
    Project.objects.create(id="project-a", name="laboratory")
    for number in range(5):
        make_image("active", name=f"disk {number}", tags=["x"], properties={"a": "ü"})
    make_image("active", name="another")
    make_image("pending_delete", name="trashed", tags=["x"])

    rows = json.loads(exported(root, "json", "?tag=x"))
    lines = list(csv.DictReader(exported(root, "csv", "?tag=x").splitlines()))

    wanted = [f"disk {number}" for number in (4, 3, 2, 1, 0)]
    assert [row["name"] for row in rows] == [row["name"] for row in lines] == wanted
    assert rows[0]["tags"] == ["x"]
    assert rows[0]["stores"] == ["local"]
    assert lines[0]["properties"] == '{"a":"ü"}'
    assert lines[0]["owner_name"] == rows[0]["owner_name"] == "laboratory"


def test_an_export_of_a_page_that_does_not_exist_leads_back_to_the_list(
    root: Client, make_image: MakeImage
) -> None:
    for _ in range(26):  # more than a page
        make_image("queued")

    assert root.get(f"{LIST}export/csv/?p=999").status_code == 302


def test_an_empty_export_is_a_document_too(root: Client) -> None:
    assert json.loads(exported(root, "json")) == []
    assert len(exported(root, "csv").splitlines()) == 1


def test_a_name_is_no_formula_of_a_spreadsheet(
    root: Client, make_image: MakeImage
) -> None:
    make_image("active", name="=1+1")

    (row,) = csv.DictReader(exported(root, "csv").splitlines())

    assert row["name"] == "'=1+1"


def test_an_export_needs_the_permission_to_view_images_and_valid_filters(
    client: Client, root: Client
) -> None:
    assert client.get(f"{LIST}export/csv/").status_code == 302
    assert root.get(f"{LIST}export/xml/").status_code == 404
    refused = root.get(f"{LIST}export/csv/?size_min=much", follow=True)
    assert "is not a size" in refused.content.decode()


@pytest.mark.postgres
def test_pages_have_their_statements_planned_for_the_values(root: Client) -> None:
    root.get(LIST)
    before = prepared()

    for _ in range(7):
        root.get(f"{LIST}?view=damaged")

    assert prepared() == before


def prepared() -> set[str]:
    """The statements for which PostgreSQL keeps a plan on this connection."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT statement FROM pg_prepared_statements")
        return {statement for (statement,) in cursor.fetchall()}
