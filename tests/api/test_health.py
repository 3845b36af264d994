"""The health check, for load balancers."""

from __future__ import annotations

import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.db import Error, connections
from django.test import Client
from django.utils import timezone

from images import outages
from images.models import WorkerReport
from images.operations import health

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def no_result_of_another_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(health._check, "_last", None)


def test_load_balancers_need_not_sign_in(client: Client) -> None:
    health.report()

    assert client.get("/healthcheck").content == b"OK"
    assert client.head("/healthcheck").status_code == 204
    as_json = client.get("/healthcheck", headers={"Accept": "application/json"})
    assert as_json.json() == {"detailed": False, "reasons": ["OK"]}


@pytest.mark.parametrize("path", ["/readyz", "/healthz"])
def test_container_platforms_have_the_paths_they_know(
    path: str, client: Client
) -> None:
    assert client.get(path).status_code == 503
    health.report()
    health._check._last = None
    assert client.get(path).content == b"OK"


def test_a_machine_that_the_operator_takes_out_lives_and_is_not_healthy(
    client: Client, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_DATA_DIR = tmp_path
    health.report()
    (tmp_path / "maintenance").touch()

    for path in ("/readyz", "/healthz", "/healthcheck"):
        response = client.get(path)
        assert (response.status_code, client.head(path).status_code) == (503, 503)
        assert response.content == b"This machine is under maintenance."
    assert client.get("/livez").status_code == 200
    (tmp_path / "maintenance").unlink()
    assert client.get("/readyz").content == b"OK"


def test_a_process_that_answers_lives_also_without_a_worker(client: Client) -> None:
    assert client.get("/livez").content == b"OK"
    assert client.head("/livez").status_code == 204


def test_without_a_background_worker_the_service_is_not_healthy(client: Client) -> None:
    response = client.get("/healthcheck")

    assert (response.status_code, response["Content-Type"]) == (503, "text/plain")
    assert response.content == health.NO_WORKER.encode()
    assert client.head("/healthcheck").status_code == 503


def test_a_worker_that_stops_reporting_is_noticed(client: Client) -> None:
    before = timezone.now() - timedelta(seconds=health.SILENCE_SECONDS + 1)
    WorkerReport.objects.create(pk=1, reported_at=before)

    as_json = client.get("/healthcheck", headers={"Accept": "application/json"})

    assert as_json.status_code == 503
    assert as_json.json() == {"detailed": False, "reasons": [health.NO_WORKER]}


def test_a_failing_database_is_named_without_its_details(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(outages, "_current", None)

    def fail(alias: str) -> Any:
        raise Error("password of catalogue@db refused")

    monkeypatch.setattr(connections, "create_connection", fail)

    response = client.get("/healthcheck")

    assert response.status_code == 503
    assert response.content == b"The database is not available. Retry later."
    assert caplog.messages == [
        "the database fails: password of catalogue@db refused",
    ]


def test_many_callers_look_once_and_none_waits_for_a_silent_database(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = threading.Event()
    looks = []

    def look() -> None:
        looks.append(1)
        answer.wait(60)

    monkeypatch.setattr(health._check, "_check", look)
    began = time.monotonic()
    responses = [client.get("/healthcheck") for _ in range(2)]
    seconds = time.monotonic() - began
    answer.set()

    assert [it.content for it in responses] == [health.SILENT.encode()] * 2
    assert (len(looks), seconds < 20) == (1, True)
