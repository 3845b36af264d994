"""The service behind proxies: nginx as in docs/operations.md, and HAProxy as in deploy/haproxy."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from urllib.parse import urlsplit
from uuid import uuid4

import pytest

from tests import servers
from tests.cluster import haproxy
from tests.servers import Service
from tests.wire.api import Api, ApiV1, connect, head, upload_head

MIB = 1 << 20
DATA = bytes(range(256)) * (4 * MIB // 256)

pytestmark = pytest.mark.xdist_group("proxies")


@pytest.fixture(scope="module")
def direct(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service with an access log."""
    env = {
        "IMAGECATALOG_TRUSTED_PROXIES": "127.0.0.1",
        "IMAGECATALOG_ACCESS_LOG": "on",
    }
    folder = tmp_path_factory.mktemp("proxied")
    with servers.catalogue(folder, env, workers=1) as service:
        yield service


@contextmanager
def haproxy_of(folder: Path, url: str) -> Iterator[str]:
    with haproxy.before_services(folder, [url]) as (balanced, _):
        yield balanced


@pytest.fixture(
    scope="module", params=[servers.nginx, haproxy_of], ids=["nginx", "haproxy"]
)
def proxied(
    direct: Service,
    request: pytest.FixtureRequest,
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Service]:
    """The service with the URL of a proxy."""
    try:
        with request.param(tmp_path_factory.mktemp("proxy"), direct.url) as url:
            yield replace(direct, url=url)
    except servers.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def api(proxied: Service) -> Iterator[Api]:
    with Api(proxied) as session:
        yield session


def test_data_goes_up_in_chunks_and_comes_down_whole(api: Api) -> None:
    image_id = api.new()

    answer = api.upload(
        image_id, (DATA[at : at + MIB] for at in range(0, 4 * MIB, MIB))
    )

    assert answer.status_code == 204
    assert api.data(image_id) == DATA


def test_an_upload_reaches_the_service_while_it_is_sent(
    proxied: Service, api: Api
) -> None:
    image_id = api.new()
    with connect(proxied) as sock:
        sock.sendall(upload_head(proxied, image_id, "Content-Length: 2"))
        sock.sendall(b"x")

        def saving() -> bool:
            return api.image(image_id)["status"] == "saving"

        servers.wait_until(saving, "the status saving")


def test_a_filter_by_a_thousand_ids_fits_into_the_request_line(api: Api) -> None:
    ids = [api.new(), *(str(uuid4()) for _ in range(999))]

    answer = api.get("images", params={"id": f"in:{','.join(ids)}"})

    assert [image["id"] for image in answer.json()["images"]] == ids[:1]


def test_the_many_headers_of_api_v1_pass_both_ways(proxied: Service) -> None:
    properties = {f"property-p_{number}": "x" * 800 for number in range(60)}
    with ApiV1(proxied) as v1:
        created = v1.register(**properties).json()["image"]["id"]

        shown = v1.head(f"images/{created}").headers

    assert shown["x-image-meta-property-p_59"] == "x" * 800


def test_the_client_is_known_by_its_own_address_and_cannot_state_another(
    proxied: Service,
) -> None:
    forged = head(
        proxied,
        "GET",
        "/v2/images?name=forged",
        "X-Forwarded-For: 192.0.2.1",
        "Connection: close",
    )
    proxy = urlsplit(proxied.url)
    with socket.socket() as sock:
        sock.bind(("127.0.1.7", 0))
        sock.connect((proxy.hostname, proxy.port))
        sock.sendall(forged)
        while sock.recv(4096):
            pass

    def logged() -> list[str]:
        lines = proxied.log.read_text().splitlines()
        return [line for line in lines if "name=forged" in line]

    servers.wait_until(logged, "the line of the access log")
    assert ' 127.0.1.7 "GET ' in logged()[0]


def examined(service: Service, url: str) -> list[dict[str, str]]:
    """The results of the doctor about the proxies in front of a service."""
    env = service.env | {"IMAGECATALOG_PUBLIC_URL": url}
    lines = servers.manage(env, "doctor", "--json").stdout.splitlines()
    return [it for it in map(json.loads, lines) if it["check"] == "proxies"]


def test_the_doctor_finds_nothing_wrong_with_it(proxied: Service) -> None:
    (found,) = examined(proxied, proxied.url)

    assert (found["status"], "unchanged" in found["text"]) == ("ok", True)


@pytest.mark.parametrize(
    ("without", "advised"),
    [
        (
            ("client_max_body_size",),
            ["client_max_body_size 0"],
        ),
        (
            (
                "proxy_buffering",
                "proxy_request_buffering",
                "underscores_in_headers",
                "large_client_header_buffers",
                "proxy_set_header Host",
                "proxy_set_header X-Forwarded-For",
            ),
            [
                "proxy_set_header Host",
                "proxy_set_header X-Forwarded-For",
                "proxy_buffering off",
                "underscores_in_headers on",
                "proxy_request_buffering off",
                "large_client_header_buffers",
            ],
        ),
    ],
)
def test_the_doctor_names_the_directives_that_a_proxy_lacks(
    without: tuple[str, ...],
    advised: list[str],
    direct: Service,
    tmp_path: Path,
) -> None:
    with servers.nginx(tmp_path, direct.url, without=without) as url:
        found = examined(direct, url)

    given = " ".join(it["advice"] for it in found)
    assert [it for it in advised if it not in given] == []
    assert all(it["status"] != "ok" for it in found)
