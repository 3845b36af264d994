"""A real Prometheus reads the metrics of a running service and evaluates the alert rules."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from tests import memory_disk, samples, servers
from tests.wire.api import OCTETS, Api

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("prometheus"),
]
MONITORING = servers.ROOT / "deploy" / "monitoring"
UP = "min(imagecatalog_component_up) == 1"
RULES = (MONITORING / "rules.yml").read_text()
UPLOADED, DOWNLOADED = ("upload_bytes_total", "v2", "local"), ("download_bytes_total",)
DATA = os.urandom(3 << 20)
LARGE = "8g"  # nothing of it is used
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
def disk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path | None]:
    """A real file system, whose size can be changed; None where it cannot be mounted."""
    folder = tmp_path_factory.mktemp("disk")
    with memory_disk.mounted(folder, LARGE) as done:
        yield folder if done else None


@pytest.fixture(scope="module")
def service(
    management: str, disk: Path | None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Service]:
    folder = tmp_path_factory.mktemp("monitored")
    env = {"IMAGECATALOG_MANAGEMENT_BIND": management}
    if disk:
        local = folder / "data" / "images"
        env["IMAGECATALOG_STORES"] = f"local=file://{local},disk=file://{disk}"
    with servers.catalogue(folder, env) as service:
        yield service


@pytest.fixture(scope="module")
def backup(service: servers.Service, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The verified backup of the service."""
    folder = str(tmp_path_factory.mktemp("backups"))
    return Path(service.manage("backup", "--to", folder, "--verify").partition(": ")[0])


@pytest.fixture(scope="module")
def query(
    service: servers.Service,
    management: str,
    programs: tuple[str, str],
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Query]:
    """``query(expression)``: the answer of a Prometheus that watches the service.

    Its alerts look at the last seconds, and fire at once.
    """
    folder, address = tmp_path_factory.mktemp("prometheus"), servers.free_port()
    config = (MONITORING / "prometheus.yml").read_text()
    config = config.replace("127.0.0.1:9293", management).replace("15s", "1s")
    (folder / "prometheus.yml").write_text(config)
    lines = [line for line in RULES.splitlines() if not line.strip().startswith("for:")]
    (folder / "rules.yml").write_text(re.sub(r"\[\d+m\]", "[10s]", "\n".join(lines)))
    url = f"http://127.0.0.1:{address}"
    command = [programs[0], f"--config.file={folder}/prometheus.yml"]
    command += [f"--storage.tsdb.path={folder}/data"]
    command += [f"--web.listen-address={url.removeprefix('http://')}"]

    def query(expression: str) -> list[dict[str, Any]]:
        answer = requests.get(f"{url}/api/v1/query", {"query": expression}, timeout=60)
        result: list[dict[str, Any]] = answer.json()["data"]["result"]
        return result

    def is_ready() -> bool:
        try:
            return requests.get(f"{url}/-/ready", timeout=60).ok
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


def firing(query: Query, **labels: str) -> set[str]:
    wanted = {"alertstate": "firing"} | labels
    chosen = ",".join(f'{name}="{text}"' for name, text in wanted.items())
    alerts = query(f"ALERTS{{{chosen}}}")
    return {it["metric"]["alertname"] for it in alerts}


def metrics(management: str) -> dict[tuple[str, ...], float]:
    """Return the present metrics of the service at this address: name and labels -> value."""
    text = requests.get(f"http://{management}/metrics", timeout=60).text
    return samples.values(text_string_to_metric_families(text))


def test_prometheus_accepts_the_files(programs: tuple[str, str]) -> None:
    for command in (["rules", "rules.yml"], ["config", "prometheus.yml"]):
        done = subprocess.run(
            [programs[1], "check", *command],
            cwd=MONITORING,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_alerts_about_what_goes_on_fire_in_time_and_only_then(
    programs: tuple[str, str],
) -> None:
    done = subprocess.run(
        [programs[1], "test", "rules", "alerts.yml"],
        cwd=Path(__file__).parent,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_prometheus_finds_nothing_to_object_to_in_the_metrics(
    service: servers.Service, management: str, programs: tuple[str, str]
) -> None:
    text = requests.get(f"http://{management}/metrics", timeout=60).text
    done = subprocess.run(
        [programs[1], "check", "metrics"], input=text, capture_output=True, text=True
    )

    assert (done.returncode, done.stderr) == (0, "")


def test_a_service_that_works_raises_no_alert(query: Query) -> None:
    servers.wait_until(lambda: query('up{job="imagecatalog"} == 1'), "a scrape")
    servers.wait_until(lambda: query(UP), "the components", 90)
    # The worker removes what uploads into a store that was gone have left, once a minute.
    servers.wait_until(lambda: not firing(query), "the end of all alerts", 120)


def test_requests_and_bytes_of_all_web_processes_are_counted_although_one_is_killed(
    service: servers.Service, management: str, query: Query
) -> None:
    shown = "http_requests_total", "v2", "GET", "2xx"

    def counted(before: dict[tuple[str, ...], float]) -> list[float]:
        now = metrics(management)
        read = "transfer_bytes_total", "upload", "local"
        route = "http_route_duration_seconds_count", "GET", "/v2/images/<image_id>"
        names = shown, UPLOADED, DOWNLOADED, read, route
        return [now.get(name, 0) - before.get(name, 0) for name in names]

    with Api(service) as api:
        image_id = api.new()
        before = metrics(management)
        assert api.upload(image_id, DATA).status_code == 204
        assert api.data(image_id) == DATA
    show = f"{service.url}/v2/images/{image_id}"
    for _ in range(20):  # each on a connection of its own
        assert requests.get(show, auth=service.auth, timeout=30).ok
    expected = [21, len(DATA), len(DATA), len(DATA), 20]
    servers.wait_until(lambda: counted(before) == expected, "the requests")
    servers.gunicorn_of(service).children()[0].kill()
    for _ in range(20):
        assert requests.get(show, auth=service.auth, timeout=30).ok
    expected[0] += 20
    expected[4] += 20
    servers.wait_until(lambda: counted(before) == expected, "further requests")

    count = 'imagecatalog_http_request_duration_seconds_count{interface="v2"}'
    servers.wait_until(lambda: query(count), "the histogram")


def test_a_worker_that_is_stopped_and_the_image_that_is_stuck_then_raise_alerts(
    service: servers.Service, query: Query
) -> None:
    servers.wait_until(lambda: query(UP), "a worker", 90)
    servers.wait_until(lambda: servers.background_worker(service), "the worker")
    worker = servers.background_worker(service)
    assert worker
    with Api(service) as api, servers.frozen(worker):
        image_id = api.new()
        set_status(service, image_id, "saving")
        servers.wait_until(
            lambda: "ImagecatalogImagesStuck" in firing(query), "the alert"
        )
        servers.wait_until(
            lambda: "ImagecatalogComponentDown" in firing(query, component="worker"),
            "the alert about the worker",
        )
        set_status(service, image_id, "queued")
    servers.wait_until(lambda: query(UP), "a worker", 90)


def test_a_disk_that_fills_raises_an_alert(
    service: servers.Service, disk: Path | None, query: Query
) -> None:
    if disk is None:
        pytest.skip("a file system can be mounted by root only")
    assert "ImagecatalogDiskFull" not in firing(query, store="disk")
    memory_disk.resize(disk, "8m")
    filler = disk / "filler"
    filler.write_bytes(bytes(7 << 20))

    servers.wait_until(
        lambda: "ImagecatalogDiskFull" in firing(query, store="disk"), "the alert"
    )
    with Api(service) as api:
        chosen = OCTETS | {"x-image-meta-store": "disk"}
        path = f"images/{api.new()}/file"
        assert api.put(path, data=bytes(2 << 20), headers=chosen).status_code == 413
    filler.unlink()
    memory_disk.resize(disk, LARGE)
    servers.wait_until(
        lambda: "ImagecatalogDiskFull" not in firing(query, store="disk"), "its end"
    )


def test_a_backup_that_is_damaged_or_old_raises_an_alert(
    service: servers.Service, query: Query, backup: Path
) -> None:
    servers.wait_until(lambda: query("imagecatalog_backup_verified == 1"), "a backup")
    alerts = {f"ImagecatalogBackup{what}" for what in ("Damaged", "Old", "Unchecked")}
    assert not alerts & firing(query)

    with (backup / "database.sqlite3").open("r+b") as file:
        file.write(b"damaged")
    assert servers.manage(service.env, "backup_verify", str(backup)).returncode == 1
    change_report(service, "made_at = '2026-01-01', is_unchecked = 1")

    servers.wait_until(lambda: alerts <= firing(query), "the alerts")
    change_report(service, "made_at = datetime('now'), is_whole = 1, is_unchecked = 0")
    servers.wait_until(lambda: not alerts & firing(query), "their end")


def change_report(service: servers.Service, changes: str) -> None:
    with closing(sqlite3.connect(service.data_dir / servers.SQLITE)) as database:
        database.execute(f"UPDATE images_backupreport SET {changes}")
        database.commit()


def test_a_store_that_is_gone_raises_an_alert(
    service: servers.Service, query: Query
) -> None:
    folder = service.data_dir / "images"
    away = folder.rename(folder.with_name("away"))
    folder.touch()  # nothing can be made in its place
    down = 'imagecatalog_component_up{component="store"} == 0'

    servers.wait_until(lambda: query(down), "the metric")
    servers.wait_until(
        lambda: "ImagecatalogComponentDown" in firing(query, component="store"),
        "the alert",
    )
    with Api(service) as api:
        path = f"images/{api.new()}/file"

        def fails() -> bool:
            chosen = OCTETS | {"x-image-meta-store": "local"}
            assert api.put(path, data=b"x", headers=chosen).status_code == 503
            return "ImagecatalogStoreFails" in firing(query, store="local")

        servers.wait_until(fails, "the alert about its errors")
    folder.unlink()
    away.rename(folder)
    servers.wait_until(lambda: not query(down), "its end")


def test_a_killed_worker_and_a_wrong_password_are_counted(
    service: servers.Service, management: str
) -> None:
    restarts = "component_restarts_total", "worker"
    before = metrics(management)
    servers.wait_until(lambda: servers.background_worker(service), "the worker")
    worker = servers.background_worker(service)
    assert worker
    worker.kill()
    requests.get(f"{service.url}/v2/images", auth=("admin", "wrong"), timeout=30)

    def counted() -> bool:
        now = metrics(management)
        signed_in = "sign_ins_total", "password", "refused"
        return (
            now[restarts] == before[restarts] + 1
            and now.get(signed_in, 0) == before.get(signed_in, 0) + 1
        )

    servers.wait_until(counted, "the restart and the refusal")
    duties = "worker_rounds_total", "report", "done"
    reported = metrics(management)[duties]
    servers.wait_until(lambda: metrics(management)[duties] > reported, "a round")


def test_prometheus_answers_every_panel_of_the_dashboard(
    query: Query, backup: Path
) -> None:
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
