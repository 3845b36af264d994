from __future__ import annotations

import hashlib
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from typing import Any

import pytest

from images.models import Image
from tests.web import allow_in_process, serving

DATA = b"the bytes of an image"
SHA512 = hashlib.sha512(DATA).hexdigest()
MD5 = hashlib.md5(DATA, usedforsecurity=False).hexdigest()


class Giver(BaseHTTPRequestHandler):
    """Gives DATA at every path."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(DATA)))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(DATA)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def web(settings: Any) -> Iterator[str]:
    """The URL of a web server that is allowed to be a location."""
    with serving(Giver) as url:
        allow_in_process(settings, url)
        yield url


def add(url: str, where: str = "-", **more: Any) -> dict[str, Any]:
    value = {"url": url, "metadata": {}, **more}
    return {"op": "add", "path": f"/locations/{where}", "value": value}


def replace(*locations: Any) -> dict[str, Any]:
    return {"op": "replace", "path": "/locations", "value": list(locations)}


def remove(index: int) -> dict[str, Any]:
    return {"op": "remove", "path": f"/locations/{index}"}


@pytest.fixture
def located(web: str, api: Any, change: Any, make_image: Any) -> Image:
    """An active image with one location at the web server."""
    image: Image = make_image()
    assert change(api.member, image, add(f"{web}/image")).status_code == 200
    return image


@pytest.mark.parametrize("where", ["-", "0", "7"])
def test_a_location_makes_a_queued_image_active(
    where: str, web: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image()

    response = change(api.member, image, add(f"{web}/image", where))

    shown = response.json()
    assert (response.status_code, shown["status"]) == (200, "active")
    assert (shown["size"], shown["checksum"], shown["stores"]) == (21, MD5, "http")
    assert shown["locations"] == [
        {"url": f"{web}/image", "metadata": {"store": "http"}}
    ]


def test_the_data_at_a_location_is_given_out(api: Any, located: Image) -> None:
    response = api.member.get(f"/v2/images/{located.pk}/file")

    assert response.getvalue() == DATA


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_range_of_data_at_a_url_is_all_of_it(
    api: Any, located: Image, settings: Any, version: str
) -> None:
    end = {"v1": "", "v2": "/file"}[version]
    path = f"/{version}/images/{located.pk}{end}"

    whole = api.member.get(path, headers={"Range": "bytes=3-5"})
    announced = api.member.head(path).headers["Accept-Ranges"]
    settings.IMAGECATALOG_LOCATION_DATA = "trust"
    part = api.member.get(path, headers={"Range": "bytes=3-5"})

    assert (whole.status_code, whole.getvalue(), announced) == (200, DATA, "none")
    assert (part.status_code, part.getvalue()) == (206, DATA[3:6])


def test_metadata_of_a_location_is_kept(
    web: str, api: Any, change: Any, make_image: Any
) -> None:
    location = add(f"{web}/image", metadata={"rack": 7})

    shown = change(api.member, make_image(), location).json()

    assert shown["locations"][0]["metadata"] == {"rack": 7, "store": "http"}


def test_digests_can_come_with_a_location(
    web: str, api: Any, change: Any, make_image: Any
) -> None:
    known = {"checksum": MD5, "os_hash_algo": "sha512", "os_hash_value": SHA512}

    response = change(
        api.member, make_image(), add(f"{web}/image", validation_data=known)
    )

    assert {name: response.json()[name] for name in known} == known


@pytest.mark.parametrize(
    "known",
    [
        {"os_hash_algo": "sha512", "os_hash_value": SHA512[::-1]},
        {"os_hash_algo": "sha512", "os_hash_value": "0"},
        {"os_hash_algo": "sha256", "os_hash_value": "0" * 64},
        {"checksum": "x" * 32, "os_hash_algo": "sha512", "os_hash_value": SHA512},
    ],
)
def test_digests_that_do_not_fit_are_409(
    known: dict[str, str], web: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image()

    response = change(api.member, image, add(f"{web}/image", validation_data=known))

    assert response.status_code == 409
    assert Image.objects.get().status == "queued"


def test_all_locations_of_a_queued_image_are_set_at_once(
    web: str, api: Any, change: Any, make_image: Any
) -> None:
    locations = [{"url": f"{web}/{name}", "metadata": {}} for name in "ab"]

    shown = change(api.member, make_image(), replace(*locations)).json()

    assert shown["status"] == "active"
    assert [one["url"] for one in shown["locations"]] == [f"{web}/a", f"{web}/b"]


def test_attributes_and_a_location_are_set_together(
    web: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(disk_format=None, container_format=None)
    formats = [
        {"op": "replace", "path": "/disk_format", "value": "raw"},
        {"op": "replace", "path": "/container_format", "value": "bare"},
    ]

    assert change(api.member, image, add(f"{web}/image")).status_code == 400
    shown = change(api.member, image, *formats, add(f"{web}/image")).json()
    assert (shown["status"], shown["disk_format"]) == ("active", "raw")


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "filesystem:///etc/passwd",
        "swift+config://ref/container/object",
        "s3://bucket/key",
        "gopher://example.org/",
        "no url",
        "",
        "http://127.0.0.1:1/not-allowed",
        "http://[::1]/not-allowed",
        "http://169.254.169.254/latest",
        f"http://127.0.0.1/{'x' * 250}",
    ],
)
def test_a_url_that_is_no_location_is_400(
    url: str, api: Any, change: Any, make_image: Any
) -> None:
    response = change(api.admin, make_image(), add(url))

    assert response.status_code == 400
    assert Image.objects.get().status == "queued"
    assert not url or url not in response.content.decode()


@pytest.mark.parametrize(
    "value",
    [None, "http://example.org", {}, {"url": 7}, {"url": "x", "metadata": []}],
)
def test_a_location_is_an_object_with_a_url(
    value: Any, api: Any, change: Any, make_image: Any
) -> None:
    operation = {"op": "add", "path": "/locations/-", "value": value}

    assert change(api.admin, make_image(), operation).status_code == 400


@pytest.mark.parametrize(
    "status", ["saving", "uploading", "importing", "deactivated", "killed"]
)
def test_locations_do_not_change_in_other_statuses(
    status: str, web: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image(status)
    location = {"url": f"{web}/image", "metadata": {}}

    for operation in (add(f"{web}/image"), replace(location), remove(0)):
        assert change(api.admin, image, operation).status_code == 409


def test_nothing_can_be_removed_from_a_queued_image(
    api: Any, change: Any, make_image: Any
) -> None:
    assert change(api.admin, make_image(), remove(0)).status_code == 409


def test_the_last_location_can_be_exchanged_in_one_step(
    web: str, api: Any, change: Any, located: Image
) -> None:
    response = change(api.admin, located, remove(0), add(f"{web}/second"))

    assert response.json()["locations"][0]["url"] == f"{web}/second"


def test_a_second_copy_is_for_admins(
    web: str, api: Any, change: Any, located: Image
) -> None:
    second = add(f"{web}/second")

    assert change(api.member, located, second).status_code == 403
    assert len(change(api.admin, located, second).json()["locations"]) == 2


def test_the_same_url_twice_is_400(
    web: str, api: Any, change: Any, located: Image
) -> None:
    response = change(api.admin, located, add(f"{web}/image"))

    assert response.status_code == 400
    assert web not in response.content.decode()


def test_more_than_ten_locations_are_413(
    web: str, api: Any, change: Any, make_image: Any
) -> None:
    image = make_image()
    locations = [{"url": f"{web}/{number}", "metadata": {}} for number in range(11)]

    assert change(api.admin, image, replace(*locations)).status_code == 413
    assert change(api.admin, image, replace(*locations[:10])).status_code == 200
    assert change(api.admin, image, add(f"{web}/10")).status_code == 413


def test_the_metadata_of_an_active_image_s_location_can_be_replaced(
    web: str, api: Any, change: Any, located: Image
) -> None:
    location = {"url": f"{web}/image", "metadata": {"rack": 8}}

    shown = change(api.member, located, replace(location)).json()

    assert shown["locations"][0]["metadata"] == {"rack": 8, "store": "http"}


def test_what_was_shown_can_be_sent_back(api: Any, change: Any, located: Image) -> None:
    shown = api.member.get(f"/v2/images/{located.pk}").json()["locations"]

    response = change(api.member, located, replace(*shown))

    assert response.json()["locations"] == shown


def test_the_url_of_an_active_image_cannot_be_replaced(
    web: str, api: Any, change: Any, located: Image
) -> None:
    response = change(api.admin, located, replace({"url": f"{web}/b", "metadata": {}}))

    assert response.status_code == 400
    assert web not in response.content.decode()


def test_without_its_last_location_an_image_is_queued_again(
    web: str, api: Any, change: Any, located: Image
) -> None:
    for operation in (remove(0), replace()):
        emptied = change(api.admin, located, operation).json()
        assert (emptied["status"], emptied["locations"]) == ("queued", [])
        again = change(api.member, located, add(f"{web}/image")).json()
        assert again["status"] == "active"


@pytest.mark.parametrize("operation", [remove(0), replace()])
def test_the_last_location_stays_where_the_operator_says_so(
    operation: dict[str, Any], api: Any, change: Any, located: Image, settings: Any
) -> None:
    settings.IMAGECATALOG_LAST_LOCATION = "forbid"

    assert change(api.admin, located, operation).status_code == 403
    assert Image.objects.get().status == "active"


def test_one_of_two_locations_can_be_removed(
    web: str, api: Any, change: Any, located: Image
) -> None:
    change(api.admin, located, add(f"{web}/second"))

    shown = change(api.admin, located, remove(0)).json()

    assert [one["url"] for one in shown["locations"]] == [f"{web}/second"]


def test_a_location_that_is_not_there_is_400(
    api: Any, change: Any, located: Image
) -> None:
    assert change(api.admin, located, remove(1)).status_code == 400


@pytest.mark.parametrize("who", ["member", "reader"])
def test_only_admins_take_all_locations_away(
    who: str, api: Any, change: Any, located: Image
) -> None:
    assert change(getattr(api, who), located, replace()).status_code == 403
    assert Image.objects.get().status == "active"


@pytest.mark.parametrize(
    ("who", "visibility", "code"),
    [
        ("reader", "private", 403),
        ("stranger", "private", 404),
        ("stranger", "shared", 404),
        ("stranger", "public", 403),
        ("admin", "private", 200),
    ],
)
def test_who_may_add_a_location(
    who: str,
    visibility: str,
    code: int,
    web: str,
    api: Any,
    change: Any,
    make_image: Any,
) -> None:
    image = make_image(visibility=visibility)

    response = change(getattr(api, who), image, add(f"{web}/image"))

    assert response.status_code == code


def test_a_location_that_is_refused_undoes_the_rest_of_the_patch(
    api: Any, change: Any, make_image: Any
) -> None:
    rename = {"op": "replace", "path": "/name", "value": "new"}

    response = change(api.member, make_image(name="old"), rename, add("file:///x"))

    assert response.status_code == 400
    assert Image.objects.get().name == "old"


def test_owners_add_copies_where_the_operator_trusts_them(
    web: str, api: Any, change: Any, located: Image, settings: Any
) -> None:
    assert change(api.member, located, add(f"{web}/second")).status_code == 403
    settings.IMAGECATALOG_LOCATION_DATA = "trust"

    assert change(api.member, located, add(f"{web}/second")).status_code == 200
    assert change(api.reader, located, add(f"{web}/third")).status_code == 403
