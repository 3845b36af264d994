from __future__ import annotations

from typing import Any

import pytest
from django.test import Client

from images.models import Event

V1 = "application/vnd.openstack.images-v1"
V2 = "application/vnd.openstack.images-v2"


def test_the_root_offers_the_versions_to_everybody(client: Client) -> None:
    response = client.get("/")

    assert (response.status_code, response["Content-Type"]) == (300, "application/json")
    assert response.json() == client.get("/versions").json()


@pytest.mark.parametrize("path", ["/versions", "/versions/"])
def test_the_versions_have_a_path_of_their_own(path: str, client: Client) -> None:
    versions = client.get(path).json()["versions"]

    assert client.get(path).status_code == 200
    assert versions[0] == {
        "id": "v2.17",
        "status": "CURRENT",
        "links": [{"rel": "self", "href": "http://testserver:80/v2/"}],
    }
    assert [one["id"] for one in versions[1:]] == [
        "v2.15",
        "v2.13",
        "v2.12",
        "v2.11",
        "v2.10",
        "v2.9",
        "v2.8",
        "v2.7",
        "v2.6",
        "v2.5",
        "v2.4",
        "v2.3",
        "v2.2",
        "v2.1",
        "v2.0",
        "v1.1",
        "v1.0",
    ]
    assert {one["status"] for one in versions[1:]} == {"SUPPORTED"}


def test_every_version_links_to_its_api(client: Client, settings: Any) -> None:
    settings.IMAGECATALOG_PUBLIC_URL = "https://images.example"

    versions = client.get("/versions").json()["versions"]

    assert {(one["id"][:3], one["links"][0]["href"]) for one in versions} == {
        ("v2.", "https://images.example/v2/"),
        ("v1.", "https://images.example/v1/"),
    }


def test_an_api_that_is_switched_off_is_not_announced(
    client: Client, settings: Any
) -> None:
    settings.IMAGECATALOG_V1 = False

    versions = client.get("/versions").json()["versions"]

    assert {one["id"][:3] for one in versions} == {"v2."}


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize(
    "path",
    [
        *("/v3", "/images", "/images/x", "/v2.99/images", "/v2images", "/v22/"),
        *("/favicon.ico", "/robots.txt", "/health", "/status", "/nothing", "/imagesx"),
    ],
)
def test_whatever_is_no_version_gets_the_choices(
    path: str, method: str, client: Client
) -> None:
    response = client.generic(method, path, b"x" if method == "POST" else b"")

    assert response.status_code == 300
    assert response.json()["versions"]


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST"])
def test_the_metrics_of_the_management_listener_are_not_found(
    method: str, client: Client
) -> None:
    assert client.generic(method, "/metrics").status_code == 404


def test_the_bare_version_leads_to_the_slash(client: Client) -> None:
    response = client.get("/v2")

    assert (response.status_code, response["Location"]) == (302, "/v2/")


def test_there_is_nothing_at_the_version_itself(api: Any, client: Client) -> None:
    assert api.member.get("/v2/").status_code == 404
    assert client.get("/v2/").status_code == 401


@pytest.mark.parametrize(
    "version", ["v2", *(f"v2.{n}" for n in range(14)), "v2.15", "v2.17"]
)
def test_every_minor_version_does_the_same(
    version: str, api: Any, make_image: Any
) -> None:
    image = make_image()

    page = api.member.get(f"/{version}/images").json()
    shown = api.member.get(f"/{version}/images/{image.pk}").json()

    assert page["images"] == [shown]
    assert (page["first"], shown["self"]) == ("/v2/images", f"/v2/images/{image.pk}")


@pytest.mark.parametrize("accept", [V2, f"{V2}.7", f"text/plain, {V2}; q=0.5"])
def test_accept_can_choose_the_version(accept: str, api: Any, make_image: Any) -> None:
    image = make_image()

    response = api.member.get(f"/images/{image.pk}", headers={"Accept": accept})

    assert response.json()["id"] == image.pk


@pytest.mark.parametrize("accept", [V1, f"{V1}.1"])
def test_accept_can_choose_the_first_version(
    accept: str, api: Any, make_image: Any
) -> None:
    image = make_image()

    listed = api.member.get("/images", headers={"Accept": accept})
    deleted = api.member.delete(f"/images/{image.pk}", headers={"Accept": accept})

    assert (listed.status_code, listed.json().keys()) == (200, {"images"})
    assert [found["id"] for found in listed.json()["images"]] == [image.pk]
    assert deleted.status_code == 200
    assert Event.objects.get().interface == "v1"


def test_a_version_that_is_switched_off_cannot_be_chosen(
    api: Any, settings: Any
) -> None:
    settings.IMAGECATALOG_V1 = False

    response = api.member.get("/images", headers={"Accept": V1})

    assert response.status_code == 300


def test_accept_does_not_reach_what_needs_sign_in(client: Client) -> None:
    assert client.get("/images", headers={"Accept": V2}).status_code == 401


@pytest.mark.parametrize(
    "accept", [f"{V2}1", "application/vnd.openstack.images-v3", "*/*", ""]
)
def test_other_things_that_are_accepted_choose_nothing(accept: str, api: Any) -> None:
    response = api.member.get("/images", headers={"Accept": accept})

    assert response.status_code == 300


def test_a_path_without_a_version_is_404_in_the_one_that_was_chosen(api: Any) -> None:
    assert api.member.get("/nothing", headers={"Accept": V2}).status_code == 404


BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"


@pytest.mark.parametrize(
    ("accept", "status"),
    [
        (BROWSER, 302),
        ("*/*", 300),
        ("application/json", 300),
        ("text/*", 300),
        ("text/html;q=0", 300),
        (None, 300),
    ],
)
def test_the_root_leads_browsers_to_the_admin(
    client: Client, accept: str | None, status: int
) -> None:
    response = client.get("/", headers={"Accept": accept} if accept else {})

    assert response.status_code == status
    assert response.get("Location") == ("/admin/" if status == 302 else None)


def test_no_other_path_leads_browsers_to_the_admin(client: Client) -> None:
    assert client.get("/nothing", headers={"Accept": BROWSER}).status_code == 300
