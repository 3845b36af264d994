"""A real Prometheus reads the metrics of a running service and evaluates the alert rules."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import psutil
import pytest
import requests

from tests import servers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("prometheus"),
]
MONITORING = servers.ROOT / "deploy" / "monitoring"
UP = "min(imagecatalog_component_up) == 1"
RULES = (MONITORING / "rules.yml").read_text()
Query = Callable[[str], list[dict[str, Any]]]


@pytest.fixture(scope="module")
def programs() -> tuple[str, str]:
    found = shutil.which("prometheus"), shutil.which("promtool")
    if not all(found):
        pytest.skip("prometheus is not installed")
    return found  # type: ignore[return-value]


@pytest.fixture(scope="module")
def management() -> str:
    return f"127.0.0.1:{servers.free_port()}"


@pytest.fixture(scope="module")
def service(
    management: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Service]:
    folder = tmp_path_factory.mktemp("monitored")
    env = {"IMAGECATALOG_MANAGEMENT_BIND": management}
    with servers.catalogue(folder, env, workers=1) as service:
        yield service


@pytest.fixture(scope="module")
def query(
    service: servers.Service,
    management: str,
    programs: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Query]:
    """What Prometheus answers to an expression. Its alerts fire at once."""
    folder, address = tmp_path_factory.mktemp("prometheus"), servers.free_port()
    config = (MONITORING / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:9293", management).replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config)
    lines = [line for line in RULES.splitlines() if not line.strip().startswith("for:")]
    (folder / "rules.yml").write_text("\n".join(lines))
    url = f"http://127.0.0.1:{address}"
    command = [programs[0], f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]

    def query(expression: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{url}/api/v1/query", {"query": expression}, timeout=5)
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def is_ready() -> bool:
        try:
            return requests.get(f"{url}/-/ready", timeout=5).ok
        except requests.ConnectionError:
            return False

    with servers.running(command, {}, folder / "log") as process:
        servers.wait_until(is_ready, "Prometheus", 30, process, folder / "log")
        servers.wait_until(lambda: query(UP), "all components", 90)
        yield query


def set_status(service: servers.Service, image_id: str, status: str) -> None:
    """Set a status without a transfer, as no code of the service does."""
    with closing(sqlite3.connect(service.data_dir / servers.SQLITE)) as database:
        words = "UPDATE images_image SET status = ? WHERE id = ?"
        database.execute(words, [status, image_id])
        database.commit()


def firing(query: Query) -> set[str]:
    return {it["metric"]["alertname"] for it in query('ALERTS{alertstate="firing"}')}


def test_prometheus_accepts_the_files(programs: tuple[str, str]) -> None:
    for command in (["rules", "rules.yml"], ["config", "prometheus.yml"]):
        done = subprocess.run(
            [programs[1], "check", *command],
            cwd=MONITORING,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_finds_nothing_to_object_to_in_the_metrics(
    service: servers.Service, management: str, programs: tuple[str, str]
) -> None:
    text = requests.get(f"http://{management}/metrics", timeout=5).text
    done = subprocess.run(
        [programs[1], "check", "metrics"], input=text, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_service_that_works_raises_no_alert(query: Query) -> None:
    servers.wait_until(lambda: query('up{job="imagecatalog"} == 1'), "a scrape")
    servers.wait_until(lambda: query(UP), "the components", 90)
    servers.wait_until(lambda: not firing(query), "the end of all alerts")


def test_an_image_that_is_stuck_raises_an_alert(
    service: servers.Service, query: Query
) -> None:
    servers.wait_until(lambda: query(UP), "a worker", 90)
    servers.wait_until(lambda: servers.background_worker(service), "the worker")
    worker = servers.background_worker(service)
    assert worker
    image = {"name": "one", "disk_format": "raw", "container_format": "bare"}
    url = f"{service.url}/v2/images"
    with requests.Session() as session, servers.frozen(worker):
        session.auth = service.auth
        image_id = session.post(url, json=image).json()["id"]
        set_status(service, image_id, "saving")
        servers.wait_until(
            lambda: "ImagecatalogImagesStuck" in firing(query), "the alert"
        )
        set_status(service, image_id, "queued")


def test_a_store_that_is_gone_raises_an_alert(
    service: servers.Service, query: Query
) -> None:
    folder = service.data_dir / "images"
    away = folder.rename(folder.with_name("away"))
    folder.touch()  # nothing can be made in its place
    down = 'imagecatalog_component_up{component="store"} == 0'

    servers.wait_until(lambda: query(down), "the metric")
    servers.wait_until(
        lambda: "ImagecatalogComponentDown" in firing(query), "the alert"
    )
    folder.unlink()
    away.rename(folder)
    servers.wait_until(lambda: not query(down), "its end")


def test_prometheus_answers_every_panel_of_the_dashboard(query: Query) -> None:
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    expressions = [
        target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    ]

    servers.wait_until(lambda: all(map(query, expressions)), "an answer to each", 90)


def test_a_service_that_does_not_answer_raises_an_alert(
    service: servers.Service, query: Query
) -> None:
    with servers.frozen(psutil.Process(service.process.pid)):
        servers.wait_until(lambda: "ImagecatalogDown" in firing(query), "the alert")


def test_each_alert_says_what_to_do() -> None:
    assert RULES.count("- alert:") == RULES.count("description:") > 5
