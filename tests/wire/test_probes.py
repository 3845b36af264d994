"""The management listener of a running service."""

from __future__ import annotations

import signal
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import requests

from tests import servers
from tests.wire.api import Api, connect, head

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("probes"),
]


@pytest.fixture(scope="module")
def address() -> str:
    return f"127.0.0.1:{servers.free_port()}"


@pytest.fixture(scope="module")
def service(
    address: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Service]:
    env = {"IMAGECATALOG_MANAGEMENT_BIND": address}
    folder = tmp_path_factory.mktemp("probes")
    with servers.catalogue(folder, env, workers=1) as service:
        yield service


def get(address: str, path: str) -> requests.Response:
    return requests.get(f"http://{address}{path}", timeout=60)


def is_ready(address: str) -> bool:
    return get(address, "/readyz").status_code == 200


def test_a_service_with_a_worker_becomes_ready(
    service: servers.Service, address: str
) -> None:
    assert get(address, "/livez").text == "OK"
    servers.wait_until(lambda: is_ready(address), "readiness")

    document = get(address, "/readyz").json()
    assert document["status"] == "pass"
    assert set(document["checks"]) >= {"web", "database", "worker", "store"}
    assert "ok   worker: no problem" in service.manage("doctor", "--ready")


def test_metrics_and_status_need_no_sign_in(
    service: servers.Service, address: str
) -> None:
    metrics = get(address, "/metrics")

    assert metrics.headers["Content-Type"].startswith("text/plain; version=")
    active = get(address, "/status").json()["images"]["active"]
    assert f'imagecatalog_images{{status="active"}} {active:.1f}' in metrics.text
    assert get(address, "/v2/images").status_code == 404
    head = requests.head(f"http://{address}/metrics", timeout=60)
    assert (head.status_code, head.text) == (200, "")


def test_metrics_are_not_served_to_clients_of_the_api(service: servers.Service) -> None:
    assert requests.get(f"{service.url}/metrics", timeout=60).status_code == 404


def test_a_client_that_says_nothing_holds_nobody_up(
    service: servers.Service, address: str
) -> None:
    host, _, port = address.partition(":")
    silent = [socket.create_connection((host, int(port))) for _ in range(50)]
    try:
        assert get(address, "/livez").text == "OK"
    finally:
        for connection in silent:
            connection.close()


def test_a_web_server_that_is_gone_is_noticed(
    service: servers.Service, address: str
) -> None:
    servers.gunicorn_of(service).send_signal(signal.SIGKILL)

    servers.wait_until(lambda: get(address, "/livez").status_code == 503, "the probe")
    servers.wait_until(lambda: servers.gunicorns(service), "the new web server")
    with servers.frozen(servers.gunicorn_of(service)):
        servers.wait_until(lambda: get(address, "/livez").ok, "the probe of its life")
        assert "The web server does not serve." in get(address, "/readyz").text
    servers.wait_until(lambda: is_ready(address), "the new web server's readiness")


def test_a_service_that_stops_is_not_ready_and_lives(tmp_path: Path) -> None:
    own = f"127.0.0.1:{servers.free_port()}"
    with servers.catalogue(tmp_path, {"IMAGECATALOG_MANAGEMENT_BIND": own}) as service:
        servers.wait_until(lambda: is_ready(own), "readiness")
        with connect(service) as upload:
            upload.sendall(
                b"POST /v1/images HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"
            )
            stopping = threading.Thread(target=service.process.terminate)
            stopping.start()
            servers.wait_until(
                lambda: (
                    get(own, "/readyz").json()["checks"]["stopping"]["output"] != ""
                ),
                "the end of readiness",
            )
            assert get(own, "/livez").status_code == 200
        stopping.join()


def test_a_service_that_is_about_to_stop_is_not_ready_and_still_serves(
    tmp_path: Path,
) -> None:
    own = f"127.0.0.1:{servers.free_port()}"
    env = {"IMAGECATALOG_MANAGEMENT_BIND": own, "IMAGECATALOG_STOP_DELAY": "3"}
    with servers.catalogue(tmp_path, env, workers=1) as service:
        both = own, urlsplit(service.url).netloc
        servers.wait_until(lambda: all(map(is_ready, both)), "readiness")
        service.process.terminate()
        servers.wait_until(lambda: not any(map(is_ready, both)), "its end")
        for address in both:
            assert "The service is being stopped." in get(address, "/readyz").text
            assert get(address, "/livez").status_code == 200

        with Api(service) as client:
            assert client.get("images").status_code == 200
        assert service.process.wait(60) == 0


def test_a_second_signal_ends_the_wait_for_load_balancers(tmp_path: Path) -> None:
    env = {"IMAGECATALOG_STOP_DELAY": "600"}
    with servers.catalogue(tmp_path, env, workers=1) as service:
        service.process.terminate()
        servers.wait_until(
            lambda: "stops in 600 seconds" in service.log.read_text(), "the signal"
        )
        service.process.terminate()
        assert service.process.wait(60) == 0


def test_a_service_lives_while_clients_hold_downloads(
    service: servers.Service, address: str
) -> None:
    api = urlsplit(service.url).netloc
    with ExitStack() as stack:
        session = stack.enter_context(Api(service))
        image_id = session.new()
        assert session.upload(image_id, bytes(64 << 20)).status_code == 204
        for _ in range(64):
            client = stack.enter_context(connect(service))
            client.sendall(head(service, "GET", f"/v2/images/{image_id}/file"))
            assert client.recv(12) == b"HTTP/1.1 200"
        for _ in range(50):
            began = time.monotonic()
            assert get(address, "/livez").status_code == 200
            assert get(api, "/livez").status_code == 200
            assert time.monotonic() - began < 1


def test_an_address_that_is_taken_is_refused_by_its_option(tmp_path: Path) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        env = servers._own_environ() | {"IMAGECATALOG_DATA_DIR": str(tmp_path / "data")}
        done = servers.manage(
            env, "serve", "--bind", "127.0.0.1:0", "--management", f"127.0.0.1:{port}"
        )

    assert done.returncode == 1
    assert "Choose another address or port with --management" in done.stderr
    assert not (tmp_path / "data").exists()
