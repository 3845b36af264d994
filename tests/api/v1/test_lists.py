"""The two lists, their filters, order and pages."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import urlencode

import pytest
from django.test import Client

from images import listing
from images.models import Image

BRIEF = {"id", "name", "disk_format", "container_format", "checksum", "size"}


def names(client: Client, **query: Any) -> list[str]:
    asked = {name.replace("__", "-"): value for name, value in query.items()}
    response = client.get(f"/v1/images/detail?{urlencode(asked)}")
    assert response.status_code == 200, response.text
    return [image["name"] for image in response.json()["images"]]


def code(client: Client, query: str) -> int:
    codes = {
        client.get(f"/v1/{it}?{query}").status_code
        for it in ("images", "images/detail")
    }
    (one,) = codes
    return one


@pytest.mark.parametrize("path", ["images", "images/", "images/detail", ""])
def test_an_empty_catalogue_is_exactly_that(path: str, api: Any) -> None:
    response = api.member.get(f"/v1/{path}")

    assert (response.status_code, response.json()) == (200, {"images": []})


def test_the_short_list_has_six_words_an_image(api: Any, make_image: Any) -> None:
    image = make_image("active", name="a")
    make_image("queued", name="b")

    queued, active = api.member.get("/v1/images").json()["images"]

    assert active.keys() == queued.keys() == BRIEF
    assert (active["id"], active["size"]) == (image.pk, image.size)
    assert (queued["size"], queued["checksum"]) == (0, None)


def test_the_long_list_has_everything(api: Any, make_image: Any) -> None:
    make_image("active", name="a", visibility="public", properties={"os": "x"})

    (image,) = api.stranger.get("/v1/images/detail").json()["images"]

    assert (image["status"], image["is_public"]) == ("active", True)
    assert (image["deleted"], image["deleted_at"]) == (False, None)
    assert image["properties"] == {"os": "x"}
    datetime.fromisoformat(image["created_at"])


def test_who_gets_what(api: Any, make_image: Any) -> None:
    for visibility in ("private", "shared", "community", "public"):
        make_image(name=visibility, visibility=visibility)
    shared = make_image(name="shared with b")
    shared.members.create(member="project-b", status="rejected")
    make_image(name="hidden", os_hidden=True)
    make_image(name="killed", status="killed")
    make_image(name="deleted", status="deleted")

    mine = {"private", "shared", "community", "public", "shared with b", "killed"}
    assert set(names(api.member)) == mine
    assert set(names(api.stranger)) == {"public", "shared with b"}
    assert set(names(api.stranger, is_public="none")) == {"public", "shared with b"}
    assert set(names(api.admin)) == {"public"}
    assert set(names(api.admin, is_public="True")) == {"public"}
    assert set(names(api.admin, is_public="false")) == mine - {"public"}
    assert set(names(api.admin, is_public="None")) == mine | {"hidden"}


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"name": "b"}, "b"),
        ({"status": "active"}, "ab"),
        ({"status": "queued"}, "c"),
        ({"container_format": "ovf"}, "b"),
        ({"disk_format": "raw"}, "ac"),
        ({"min_ram": "512"}, "a"),
        ({"min_disk": "7"}, "b"),
        ({"size_min": "20"}, "b"),
        ({"size_min": "0"}, "abc"),
        ({"size_max": "19"}, "ac"),
        ({"size_min": "5", "size_max": "19"}, "a"),
        ({"protected": "True"}, "b"),
        ({"protected": "0"}, "ac"),
        ({"protected": "none"}, "abc"),
        ({"property__distro": "Debian"}, "a"),
        ({"property__distro": "Debian", "property__arch": "arm"}, ""),
        ({"is_public": "1"}, "abc"),
        ({"name": "b", "status": "queued"}, ""),
        ({"unknown": "x"}, "abc"),
    ],
)
def test_filters(query: Any, found: str, api: Any, make_image: Any) -> None:
    make_image(
        "active", b"*" * 10, name="a", min_ram=512, properties={"distro": "Debian"}
    )
    make_image(
        "active",
        b"*" * 30,
        name="b",
        disk_format="qcow2",
        container_format="ovf",
        min_disk=7,
        protected=True,
        properties={"distro": "debian", "arch": "arm"},
    )
    make_image(name="c")

    assert sorted(names(api.member, **query)) == list(found)


@pytest.mark.parametrize(
    "query",
    [
        "size_min=x",
        "size_min=-1",
        "size_max=-1",
        "min_ram=-1",
        "min_disk=-1",
        "size_max=1.5",
        "min_ram=",
        "min_disk=a",
        "protected=maybe",
        "is_public=2",
        "limit=-1",
        "limit=x",
        "sort_key=owner",
        "sort_dir=up",
        "marker=x",
        "marker=5f7f6f1e-0000-4000-8000-000000000000",
        "name=%00",
        "changes-since=yesterday",
        "changes-since=9999-99-99",
        "deleted=perhaps",
    ],
)
def test_what_makes_no_sense_is_400(query: str, api: Any) -> None:
    assert code(api.member, query) == code(api.admin, query) == 400


@pytest.mark.parametrize("condition", ["name={}", "property-p{}=x", "size_max={}"])
def test_as_many_conditions_as_a_database_can_take_and_no_more(
    condition: str, api: Any, make_image: Any
) -> None:
    make_image()
    most = [condition.format(number) for number in range(100)]

    assert code(api.member, "&".join(most)) == code(api.admin, "&".join(most)) == 200
    assert code(api.member, "&".join([*most, "name=x"])) == 400
    assert code(api.member, "&".join([*most, "unknown=x"])) == 200


def test_a_bad_value_is_named(api: Any) -> None:
    for value in ("x", "-1"):
        response = api.member.get(f"/v1/images?size_min={value}")

        assert f"Bad value passed to filter size_min got {value}" in response.text


def test_the_newest_comes_first(api: Any, make_image: Any) -> None:
    for name in "abc":
        make_image(name=name)

    assert names(api.member) == ["c", "b", "a"]
    assert names(api.member, sort_dir="asc") == ["a", "b", "c"]
    assert names(api.member, sort_key="name") == ["c", "b", "a"]
    assert names(api.member, sort_key="name", sort_dir="asc") == ["a", "b", "c"]


def test_pages(api: Any, make_image: Any) -> None:
    images = [make_image(name=name) for name in "abcd"]

    first = api.member.get("/v1/images?limit=2").json()
    assert [it["name"] for it in first["images"]] == ["d", "c"]
    assert first.keys() == {"images"}  # no link to the next one
    assert names(api.member, limit=2, marker=images[2].pk) == ["b", "a"]
    assert names(api.member, limit=2, marker=images[0].pk) == []
    assert names(api.member, limit=0) == []


def test_a_page_has_25_images_and_at_most_1000(api: Any, make_image: Any) -> None:
    image = make_image()
    Image.objects.bulk_create(Image(owner=image.owner) for _ in range(1001))

    assert len(names(api.member)) == 25
    assert len(names(api.member, limit=5000)) == 1000


def test_what_has_changed_since_includes_what_was_deleted(
    api: Any, make_image: Any
) -> None:
    for name, status in (("old", "active"), ("new", "active"), ("gone", "deleted")):
        make_image(status, name=name)
    make_image("deleted", name="purged", purged=True, owner="")
    Image.objects.filter(name="old").update(updated_at=datetime(2001, 1, 1, tzinfo=UTC))
    since = datetime.now(UTC) - timedelta(hours=1)

    for text in (f"{since:%Y-%m-%dT%H:%M:%S}", since.isoformat()):
        assert names(api.member, changes__since=text) == ["gone", "new"]
        assert names(api.stranger, changes__since=text) == []
    assert code(api.member, f"changes-since={since.isoformat()}") == 200


def test_an_admin_lists_the_deleted_ones(api: Any, make_image: Any) -> None:
    make_image(name="here", visibility="public")
    make_image("deleted", name="gone", visibility="public")
    make_image("pending_delete", name="trashed", visibility="public")

    assert names(api.admin, deleted="True") == ["trashed", "gone"]
    assert names(api.admin, deleted="false") == ["here"]
    assert names(api.member, deleted="True") == ["here"]


@pytest.mark.parametrize("method", ["delete", "put", "head", "patch"])
@pytest.mark.parametrize("path", ["/v1/images/", "/v1/"])
def test_no_image_is_at_the_path_without_an_id(
    path: str, method: str, api: Any
) -> None:
    assert getattr(api.member, method)(path).status_code == 404


def test_documents_are_written_as_by_the_standard_library(
    api: Any, make_image: Any
) -> None:
    assert api.member.get("/v1/images").content == b'{"images": []}'
    assert api.member.get("/v1/images/detail").content == b'{"images": []}'
    image = make_image(name="é\n", properties={"a": "1, 2: 3"}, visibility="shared")
    image.members.create(member="a")

    for path in ("images", "images/detail", f"images/{image.pk}/members"):
        response = api.member.get(f"/v1/{path}")
        assert response.content == json.dumps(response.json()).encode()
        assert response["Content-Length"] == str(len(response.content))


def test_a_page_with_too_much_metadata_names_the_limit_that_fits(
    api: Any, make_image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listing, "MAX_LENGTH", 6000)
    for name in "abc":
        make_image(name=name, properties={"text": "x" * 5000})

    refused = api.member.get("/v1/images/detail", {"limit": 1000})

    assert (refused.status_code, "limit=2." in refused.text) == (413, True)
    assert len(names(api.member, limit=2)) == 2
