"""The log of the real service: one format for gunicorn, Django and the worker."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import requests

from tests import servers
from tests.servers import Service
from tests.test_logs import LINE
from tests.wire.api import Api, connect, upload_head


def test_an_upload_of_a_client_that_goes_away_is_a_warning_with_its_bytes(
    catalogue: Service, api: Api
) -> None:
    image_id = api.new()
    before = catalogue.log.stat().st_size
    with connect(catalogue) as sock:
        sock.sendall(upload_head(catalogue, image_id, "Content-Length: 100") + b"12345")

    servers.wait_until(lambda: "verb=fail" in since(catalogue, before), "the line")
    lines = [it for it in since(catalogue, before).splitlines() if image_id in it]
    begun, failed = (LINE.fullmatch(line) for line in lines)
    assert begun
    assert failed
    assert (begun["level"], failed["level"]) == ("INFO", "WARNING")
    assert begun["request_id"] == failed["request_id"]
    assert (failed["user"], failed["interface"]) == ("admin", "v2")
    assert " received=5 " in failed["message"]


def since(service: Service, before: int) -> str:
    with service.log.open("rb") as log:
        log.seek(before)
        return log.read().decode()


@pytest.fixture(scope="module")
def json_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    """A service that logs JSON, and each request. It has a management listener."""
    env = {
        "IMAGECATALOG_LOG_FORMAT": "json",
        "IMAGECATALOG_ACCESS_LOG": "on",
        "IMAGECATALOG_MANAGEMENT_BIND": f"127.0.0.1:{servers.free_port()}",
    }
    folder = tmp_path_factory.mktemp("json")
    with servers.catalogue(folder, env, workers=1) as service:
        yield service


def records_of(service: Service) -> list[dict[str, str]]:
    logged = service.log.read_text().partition("/v2/images\n")[2]
    return [json.loads(line) for line in logged.splitlines()]


@pytest.mark.slow
def test_every_line_is_json_where_json_is_wanted(json_service: Service) -> None:
    service = json_service
    headers = {"X-OpenStack-Request-ID": "req-findme"}
    url = f"{service.url}/v2/images"
    requests.post(url, json={"name": "x"}, auth=service.auth, headers=headers)
    servers.wait_until(lambda: service.log.read_text().count("findme") == 2, "lines")

    records = records_of(service)
    assert records[0]["message"].startswith("Starting gunicorn")
    of_request = [it for it in records if it["request_id"] == "req-findme"]
    assert [it["logger"] for it in of_request] == ["images.events", "gunicorn.access"]
    assert {(it["user"], it["interface"]) for it in of_request} == {("admin", "v2")}
    assert " verb=create " in of_request[0]["message"]
    assert '"POST /v2/images HTTP/1.1" 201' in of_request[1]["message"]


@pytest.mark.slow
def test_a_probe_has_a_line_only_if_it_fails(json_service: Service) -> None:
    management = f"http://{json_service.env['IMAGECATALOG_MANAGEMENT_BIND']}"
    file = json_service.data_dir / "maintenance"
    probes = [f"{json_service.url}/readyz", f"{management}/readyz"]
    others = [f"{json_service.url}/livez", f"{management}/metrics"]
    for url in probes:
        servers.wait_until(lambda url=url: requests.get(url).ok, "readiness")
    before = json_service.log.stat().st_size
    assert {requests.get(url).status_code for url in probes + others} == {200}
    file.touch()
    assert {requests.get(url).status_code for url in probes} == {503}
    file.unlink()

    def lines() -> list[str]:
        logged = map(json.loads, since(json_service, before).splitlines())
        return [it["message"] for it in logged if it["logger"] == "gunicorn.access"]

    servers.wait_until(lambda: len(lines()) == 2, "both lines")
    assert all('"GET /readyz HTTP/1.1" 503' in line for line in lines())


@pytest.mark.slow
def test_the_record_of_a_long_download_has_its_request_and_its_caller(
    json_service: Service,
) -> None:
    headers = {"X-OpenStack-Request-ID": "req-download"}
    with Api(json_service) as api:
        image_id = api.new()
        assert api.upload(image_id, bytes(32 << 20)).status_code == 204
    url = f"{json_service.url}/v2/images/{image_id}/file"
    data = requests.get(url, auth=json_service.auth, headers=headers).content

    assert len(data) == 32 << 20
    servers.wait_until(
        lambda: "req-download" in json_service.log.read_text(), "the line"
    )
    of_request = [
        it for it in records_of(json_service) if it["request_id"] == "req-download"
    ]
    assert [it["logger"] for it in of_request] == ["gunicorn.access"]
    assert {(it["user"], it["interface"]) for it in of_request} == {("admin", "v2")}
