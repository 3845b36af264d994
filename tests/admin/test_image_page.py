"""The page of an image: what it tells, and what its form changes."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import pytest
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from imagecatalog.identity.models import Project
from images import lifecycle
from images.access import Caller
from images.attributes import Changes
from images.models import Event, Image, Member
from tests.admin.conftest import LIST, shown_form
from tests.rows import current

MakeImage = Callable[..., Image]
TABS = ("change", "data", "properties", "sharing", "history")
IN_LIST = "?_changelist_filters=tag%3Dnightly&at=0"


def page(client: Client, image: Image, tab: str = "change") -> str:
    return client.get(f"{LIST}{image.pk}/{tab}/").content.decode()


def save(client: Client, image: Image, form: dict[str, Any]) -> Any:
    return client.post(f"{LIST}{image.pk}/edit/", form)


@pytest.fixture
def image(make_image: MakeImage) -> Image:
    return make_image(
        "active",
        name="disk",
        tags=["a", "b"],
        properties={"os_type": "linux", "x": "1"},
    )


def test_a_form_that_nobody_touched_changes_nothing(root: Client, image: Image) -> None:
    before = current(image).updated_at

    response = save(root, image, shown_form(root, image))

    assert response.status_code == 302
    assert current(image).updated_at == before
    assert not Event.objects.exists()


def test_attributes_tags_and_properties_are_changed_and_recorded(
    root: Client, image: Image
) -> None:
    form = shown_form(root, image) | {
        "name": "disk 2",
        "min_disk": "8",
        "protected": "on",
        "tags": "b\nc\n",
        "property_name": ["os_type", "", "new"],
        "property_value": ["windows", "", "value"],
    }

    assert save(root, image, form).status_code == 302

    changed = current(image)
    assert (changed.name, changed.min_disk, changed.protected) == ("disk 2", 8, True)
    assert changed.tags == ["b", "c"]
    assert changed.properties == {"os_type": "windows", "new": "value"}
    event = Event.objects.get()
    assert (event.verb, event.actor, event.interface) == ("update", "root", "admin")
    assert event.detail["name"] == ["disk", "disk 2"]
    assert event.detail["x"] == ["1", None]


def test_properties_with_blanks_around_their_names_keep_them(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image(properties={" lead": "1", "lead": "3"})
    form = shown_form(root, image)

    assert save(root, image, form | {"name": "new"}).status_code == 302
    assert current(image).properties == {" lead": "1", "lead": "3"}

    form["property_name"] = [*form["property_name"], " typed "]
    form["property_value"] = ["9", *form["property_value"][1:], "4"]
    assert save(root, image, form).status_code == 302

    assert current(image).properties == {" lead": "9", "lead": "3", "typed": "4"}


def test_what_somebody_else_changed_meanwhile_stays(
    root: Client, image: Image, admin: Caller
) -> None:
    form = shown_form(root, image)
    lifecycle.update(
        image.pk, Changes({"name": "theirs"}, {"os_type": "theirs", "more": "1"}), admin
    )

    save(root, image, form | {"min_disk": "8"})

    changed = current(image)
    assert (changed.name, changed.min_disk) == ("theirs", 8)
    assert changed.properties == {"os_type": "theirs", "more": "1", "x": "1"}


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"name": "\N{PILE OF POO}"}, "characters beyond the Basic Multilingual Plane"),
        ({"min_disk": "-1"}, "greater than or equal to 0"),
        ({"visibility": "everybody"}, "not one of the available choices"),
        ({"tags": "x" * 256}, "longer than 255 characters"),
        ({"property_name": ["status"], "property_value": ["active"]}, "read-only"),
        (
            {"property_name": ["a", "a"], "property_value": ["1", "2"]},
            "have the same name",
        ),
        ({"property_name": [""], "property_value": ["1"]}, "no name"),
        (
            {"property_name": ["hw_cpu_cores"], "property_value": ["two"]},
            "whole number",
        ),
        ({"property_name": ["kernel_id"], "property_value": ["x"]}, "id of an image"),
    ],
)
def test_what_is_wrong_is_said_and_nothing_is_changed(
    root: Client, image: Image, wrong: dict[str, Any], sentence: str
) -> None:
    form = shown_form(root, image) | {"min_ram": "64"} | wrong

    response = save(root, image, form)

    assert sentence in response.content.decode().replace("&#x27;", "'")
    assert current(image).min_ram == 0
    assert current(image).properties == image.properties


def test_an_image_is_not_changed_too_often_in_the_admin_either(
    root: Client, image: Image, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.IMAGECATALOG_IMAGE_CHANGE_RATE = 1
    monkeypatch.setattr("images.request_rate.BURST", 1)
    form = shown_form(root, image)

    save(root, image, form | {"name": "first"})
    refused = save(root, image, form | {"name": "second"})

    assert "too often. Try again in" in refused.content.decode()
    assert current(image).name == "first"


def test_formats_can_be_changed_before_there_is_data_only(
    root: Client, make_image: MakeImage
) -> None:
    queued, active = make_image("queued"), make_image("active")

    for image in (queued, active):
        save(root, image, shown_form(root, image) | {"disk_format": "qcow2"})

    assert current(queued).disk_format == "qcow2"
    assert current(active).disk_format == "raw"


def test_a_deleted_image_cannot_be_changed(root: Client, make_image: MakeImage) -> None:
    image = make_image("pending_delete", name="disk")

    response = save(
        root,
        image,
        {
            "name": "x",
            "initial-name": "disk",
            "visibility": "shared",
            "min_disk": "0",
            "min_ram": "0",
        },
    )

    assert "No image found" in response.content.decode()
    assert current(image).name == "disk"


def test_the_page_tells_what_is_known(root: Client, image: Image) -> None:
    Member.objects.create(image=image, member="project-of-a-friend")
    Event.objects.create(
        image=image,
        verb="deactivate",
        from_status="active",
        to_status="deactivated",
        actor="alice",
        interface="v2",
        reason="a <b>bold</b> reason",
    )

    text = page(root, image)

    assert "project-of-a-friend" in page(root, image, "sharing")
    assert "a &lt;b&gt;bold&lt;/b&gt; reason" in text
    assert str(image.os_hash_value) in text
    assert f"openstack image save --file {image.pk}.raw {image.pk}" in text
    assert f"http://testserver:80/v2/images/{image.pk}/file" in text


@pytest.mark.parametrize(
    ("mode", "given"),
    [
        ("embedded", "-u USER "),
        ("keystone", '-H "X-Auth-Token: $(openstack token issue -f value -c id)" '),
        ("none", ""),
    ],
)
@pytest.mark.parametrize(
    ("status", "rest"),
    [
        ("active", "-o {id}.raw"),
        ("queued", "-T FILE -H 'Content-Type: application/octet-stream'"),
    ],
)
def test_the_line_for_curl_signs_in_as_the_service_asks_for_it(
    root: Client,
    make_image: MakeImage,
    settings: Any,
    mode: str,
    given: str,
    status: str,
    rest: str,
) -> None:
    settings.IMAGECATALOG_AUTH = mode
    image = make_image(status)

    texts = root.get(f"{LIST}{image.pk}/change/").context["snippets"]

    (curl,) = (it["text"] for it in texts if it["title"] == "curl")
    line, address = curl.split(" \\\n    ")
    assert line == f"curl {given}{rest.format(id=image.pk)}"
    assert address.startswith("http://testserver")
    assert address.endswith(f"/v2/images/{image.pk}/file")


def test_the_way_that_was_taken_is_lit(root: Client, make_image: MakeImage) -> None:
    image = make_image("deactivated")
    for pair in (("queued", "saving"), ("saving", "active"), ("active", "deactivated")):
        Event.objects.create(
            image=image, verb="v", from_status=pair[0], to_status=pair[1]
        )

    text = page(root, image, "history")

    assert text.count('class="transition taken"') == 3
    assert re.search(r'class="node status-deactivated current"', text)


def test_why_the_last_attempt_failed_is_said(
    root: Client, make_image: MakeImage, admin: Caller
) -> None:
    image = make_image("queued")
    with pytest.raises(Exception, match="Size mismatch"):
        lifecycle.upload(image.pk, iter([b"x"]), admin, expected_size=2)

    assert "Size mismatch: expected 2 bytes, got 1 bytes." in page(root, image)


def test_a_long_history_is_shown_in_parts(root: Client, image: Image) -> None:
    for number in range(120):
        Event.objects.create(
            image=image, verb=f"verb{number}", from_status="active", to_status="active"
        )

    newest = page(root, image, "history")
    older = re.search(r'href="(\?before=\d+)#history"', newest)
    assert older
    oldest = root.get(f"{LIST}{image.pk}/history/{older[1]}").content.decode()

    shown = [set(re.findall("Verb([0-9]+)<", text)) for text in (newest, oldest)]
    assert shown == [set(map(str, range(20, 120))), set(map(str, range(20)))]
    assert 'href="?before=' not in oldest
    assert 'href="?#history"' in oldest


@pytest.mark.parametrize("before", ["x", "-1", "²", "9" * 40])
def test_a_page_of_the_history_that_nobody_links_to_is_the_newest(
    before: str, root: Client, image: Image
) -> None:
    Event.objects.create(image=image, verb="there", to_status="active")

    answer = root.get(f"{LIST}{image.pk}/history/", {"before": before})

    assert "There<" in answer.content.decode()


@pytest.mark.parametrize("tab", TABS)
def test_a_page_asks_as_often_for_much_as_for_little(
    root: Client, make_image: MakeImage, tab: str
) -> None:
    image = make_image("active", tags=["nightly"])

    def count() -> int:
        with CaptureQueriesContext(connection) as queries:
            assert root.get(f"{LIST}{image.pk}/{tab}/{IN_LIST}").status_code == 200
        return len(queries)

    few = count()
    for number in range(20):
        image.locations.create(store="local", key=f"{image.pk}.{number}")
        Member.objects.create(image=image, member=f"project-{number}")
        Event.objects.create(image=image, verb="update", to_status="active")
        make_image("active", tags=["nightly"])

    assert count() == few <= 18


# New images


def test_an_image_is_made_of_its_metadata(root: Client, db: None) -> None:
    Project.objects.create(id="project-a", name="Project A")
    form = {
        "name": "new",
        "owner": "project-a",
        "visibility": "private",
        "disk_format": "",
        "container_format": "",
        "min_disk": "0",
        "min_ram": "0",
        "tags": "x",
        "property_name": ["os_type", ""],
        "property_value": ["linux", ""],
    }

    response = root.post(f"{LIST}add/metadata/", form)

    image = Image.objects.get()
    assert response["Location"] == f"{LIST}{image.pk}/change/"
    assert (image.name, image.status, image.disk_format) == ("new", "queued", None)
    assert (image.tags, image.properties) == (["x"], {"os_type": "linux"})


def test_a_location_that_the_filter_refuses_makes_no_image(
    root: Client, db: None
) -> None:
    form = {
        "url": "http://127.0.0.1:22/x",
        "visibility": "shared",
        "disk_format": "raw",
        "container_format": "bare",
        "min_disk": "0",
        "min_ram": "0",
    }

    response = root.post(f"{LIST}add/location/", form)

    assert response.status_code == 200
    assert "errorlist" in response.content.decode()
    assert not Image.objects.exists()


def test_an_image_by_location_needs_its_formats(root: Client, db: None) -> None:
    form = {
        "url": "https://images.example.org/x",
        "visibility": "shared",
        "min_disk": "0",
        "min_ram": "0",
    }

    response = root.post(f"{LIST}add/location/", form)

    assert response.content.decode().count("This field is required") >= 2
    assert not Image.objects.exists()


# Locations


def locations(text: str) -> list[str]:
    """The rows of the table."""
    table = text.split('id="s-locations"')[1].split("</section>")[0]
    return table.split("<tr>")[2:]


def test_each_copy_tells_store_size_digest_and_status(
    root: Client, image: Image
) -> None:
    image.locations.create(store="http", key="http://example.org/disk")

    rows = locations(page(root, image, "data"))

    for row, store in zip(rows, ("local", "http"), strict=True):
        assert f">{store}<" in row
        assert ">21 B<" in row
        assert f'title="{image.os_hash_value}"' in row
        assert "sha512" in row
        assert ">Active<" in row


def test_of_a_copy_that_was_never_read_no_digest_is_told(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("active", checksum=None, os_hash_algo=None, os_hash_value=None)

    (row,) = locations(page(root, image, "data"))

    assert 'id="digest-' not in row
    assert "data-copy" not in row


def test_an_address_that_is_refused_is_marked(
    root: Client, make_image: MakeImage
) -> None:
    sent = {"url": "http://127.0.0.1:1/", "stores": "local"}

    adding = root.post(f"{LIST}{make_image().pk}/locations/add/", sent).context["form"]
    fetching = root.post(f"{LIST}add/url/", sent).context["source_form"]

    assert [*adding.errors] == [*fetching.errors] == ["url"]


@pytest.mark.parametrize(
    ("status", "word", "said"),
    [
        ("queued", "verify", "once its data is read and checked"),
        ("queued", "trust", "makes it active."),
        ("active", "verify", "read once and compared"),
        ("active", "trust", "is trusted"),
    ],
)
def test_it_is_said_what_becomes_of_a_location(
    root: Client,
    make_image: MakeImage,
    settings: Any,
    status: str,
    word: str,
    said: str,
) -> None:
    settings.IMAGECATALOG_LOCATION_DATA = word
    image = make_image(status)

    page = root.get(f"{LIST}{image.pk}/locations/add/").content.decode()

    assert said in page
    assert ("is trusted" in page) == (word == "trust")


def test_a_location_is_added_for_a_reason(root: Client, image: Image, web: str) -> None:
    form = {"url": f"{web}/disk.raw", "reason": "a <b>second</b> copy"}

    answer = root.post(f"{LIST}{image.pk}/locations/add/", form)

    assert answer.status_code == 302
    assert image.locations.filter(store="http", key=f"{web}/disk.raw").exists()
    assert Event.objects.get().reason == form["reason"]
    assert "a &lt;b&gt;second&lt;/b&gt; copy" in page(root, image)


def test_the_last_location_is_removed_and_the_image_queued(
    root: Client, image: Image
) -> None:
    location = image.locations.get()

    address = f"{LIST}{image.pk}/locations/{location.pk}/remove/"
    assert "the last location" in root.get(address).content.decode()
    root.post(address, {"reason": "wrong file"})

    assert (current(image).status, current(image).pinned) == ("queued", True)
    assert Event.objects.get().reason == "wrong file"
    assert "wrong file" in page(root, image)


def test_one_of_two_locations_is_removed(root: Client, image: Image) -> None:
    second = image.locations.create(store="local", key=f"{image.pk}.second")

    address = f"{LIST}{image.pk}/locations/{second.pk}/remove/"
    root.post(address, {"reason": "moved"})

    assert current(image).status == "active"
    assert image.locations.get(status="active").pk != second.pk
    assert Event.objects.get().reason == "moved"


def test_without_a_reason_no_location_comes_or_goes(
    root: Client, image: Image, web: str
) -> None:
    location = image.locations.get()

    added = root.post(f"{LIST}{image.pk}/locations/add/", {"url": f"{web}/disk.raw"})
    removed = root.post(f"{LIST}{image.pk}/locations/{location.pk}/remove/")

    for answer in (added, removed):
        assert answer.status_code == 200
        assert "This field is required" in answer.content.decode()
    assert list(image.locations.filter(status="active")) == [location]
    assert not Event.objects.exists()


def test_a_location_of_another_image_is_not_found(
    root: Client, image: Image, make_image: MakeImage
) -> None:
    location = make_image("active").locations.get()

    address = f"{LIST}{image.pk}/locations/{location.pk}/remove/"

    assert root.post(address).status_code == 404


# What the pages ask for while something moves


def test_the_poll_tells_status_and_progress(
    root: Client, make_image: MakeImage
) -> None:
    image = make_image("saving")
    image.transfers.update(bytes_received=512, bytes_expected=1024)

    with CaptureQueriesContext(connection) as queries:
        found = root.get(f"{LIST}live/?ids={image.pk},nonsense").json()

    assert found["images"][image.pk]["status"] == "saving"
    assert found["transfers"][0]["percent"] == 50
    assert found["transfers"][0]["words"] == "512 B of 1.0 KiB"
    assert len(queries) <= 5  # two of them find the session and its user


def test_the_poll_of_one_image(root: Client, image: Image) -> None:
    found = root.get(f"{LIST}{image.pk}/live/").json()

    assert found["images"] == {
        image.pk: {"status": "active", "tone": "active", "label": "Active"}
    }


def test_links_of_the_snippets_go_where_the_page_was_found(
    root: Client, make_image: MakeImage
) -> None:
    path = f"{LIST}{make_image('active').pk}/change/"

    response = root.get(path, headers={"Host": "image_catalog:9292"})

    assert "http://image_catalog:9292/v2/images/" in response.content.decode()


def test_an_image_tells_which_digest_was_expected_of_it(
    root: Client, make_image: Any
) -> None:
    stated = {"digests": {"sha256": "ab" * 32}, "verified_by": "import"}
    stated["source_digests"] = {"sha256": "cd" * 32}
    image = make_image("active", verified_at=timezone.now(), **stated)

    text = page(root, image)

    assert "ab" * 32 in text
    assert "cd" * 32 in text
    assert "a digest stated for the import, <time" in text
