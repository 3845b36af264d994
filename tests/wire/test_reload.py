"""SIGHUP replaces the code, the settings and all processes, and no client notices."""

from __future__ import annotations

import os
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest
import requests

from tests import servers
from tests.servers import ROOT, Service, gunicorns, wait_until
from tests.wire.api import Api, connect, head, upload_head

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("reload")]

CLIENTS = 16
MIB = 1 << 20
DATA = os.urandom(3 * MIB)
OLD_URL, NEW_URL = "http://old.example.org", "http://new.example.org"


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A copy of the program, which a test can change."""
    folder = tmp_path / "code"
    for name in ("imagecatalog", "images", "templates"):
        skip = shutil.ignore_patterns("__pycache__")
        shutil.copytree(ROOT / name, folder / name, ignore=skip)
    shutil.copy(ROOT / "manage.py", folder)
    return folder


@contextmanager
def in_use(service: Service) -> Iterator[list[str]]:
    """Clients at work; the ids of the images that they have made, used and deleted."""
    lives: list[str] = []

    def use(number: int, stop: threading.Event) -> None:
        while not stop.is_set():
            with Api(service) as api:
                lives.extend(live(api) for _ in range(3))

    with servers.in_threads(CLIENTS, use):
        yield lives


def live(api: Api) -> str:
    image_id = api.new()
    data = os.urandom(10_000)
    assert api.upload(image_id, data).status_code == 204
    assert api.data(image_id) == data
    assert api.delete(f"images/{image_id}").status_code == 204
    return image_id


def reload(service: Service, before: psutil.Process) -> psutil.Process:
    """Reload the service; return the new gunicorn."""
    servers.reload(service)
    return next(it for it in gunicorns(service) if it != before)


def begin_upload(service: Service) -> tuple[str, socket.socket]:
    """An upload that lacks its last byte."""
    with Api(service) as api:
        image_id = api.new()
        sock = connect(service)
        announced = f"Content-Length: {len(DATA)}"
        sock.sendall(upload_head(service, image_id, announced) + DATA[:-1])
        wait_until(lambda: api.image(image_id)["status"] == "saving", "the upload")
    return image_id, sock


def test_no_client_notices_a_reload_and_an_upload_outlives_it(
    postgres_url: str, tmp_path: Path
) -> None:
    # So many clients at once wait too long for each other's transactions in SQLite.
    env = {
        "DATABASE_URL": servers.prepared_database(postgres_url),
        "IMAGECATALOG_GRACE_SECONDS": "2",
        "IMAGECATALOG_LEASE_SECONDS": "600",  # the upload waits for many clients
    }
    with servers.catalogue(tmp_path, env) as service:
        image_id, upload = begin_upload(service)
        with upload, in_use(service) as lives:
            wait_until(lambda: len(lives) > CLIENTS, "the first images")
            (old,) = gunicorns(service)
            new = reload(service, old)
            count = len(lives)
            wait_until(lambda: len(lives) > count + 3 * CLIENTS, "images afterwards")
            assert set(gunicorns(service)) == {old, new}
            upload.sendall(DATA[-1:])
            assert upload.recv(MIB).startswith(b"HTTP/1.1 204 ")
        print(f"{len(lives)} images were made, read and deleted during a reload")

        with Api(service) as api:
            assert api.data(image_id) == DATA
        wait_until(lambda: gunicorns(service) == [new], "the end of the old processes")
        assert "Traceback" not in service.log.read_text()


@pytest.mark.long
def test_a_download_outlives_a_reload(tmp_path: Path) -> None:
    data = os.urandom(64 * MIB)  # more than sockets hold
    with servers.catalogue(tmp_path, workers=1) as service:
        with Api(service) as api:
            image_id = api.new()
            assert api.upload(image_id, data).status_code == 204
        with connect(service) as sock:
            sock.sendall(head(service, "GET", f"/v2/images/{image_id}/file"))
            received = sock.recv(MIB)
            (old,) = gunicorns(service)
            reload(service, old)
            while len(received) < len(data):
                block = sock.recv(MIB)
                assert block, "the download was cut off"
                received += block

    assert received.endswith(data[-MIB:])


def test_a_reload_brings_new_code_and_settings(code: Path, tmp_path: Path) -> None:
    url_file = tmp_path / "url"
    url_file.write_text(OLD_URL)
    management = f"127.0.0.1:{servers.free_port()}"
    env = {
        "IMAGECATALOG_PUBLIC_URL_FILE": str(url_file),
        "IMAGECATALOG_MANAGEMENT_BIND": management,
    }

    def links() -> str:
        return requests.get(f"{service.url}/versions", timeout=30).text

    def metrics() -> str:
        return requests.get(f"http://{management}/metrics", timeout=30).text

    with servers.catalogue(tmp_path, env, workers=1, root=code) as service:
        assert OLD_URL in links()
        answered = 'http_requests_total{interface="other",method="GET",status="3xx"}'
        wait_until(lambda: answered in metrics(), "the count of requests")
        worker = servers.background_worker(service)
        url_file.write_text(NEW_URL)
        module = code / "imagecatalog" / "settings.py"
        module.write_text(f'{module.read_text()}\nIMAGECATALOG_VERSION = "99.9"\n')

        reload(service, servers.gunicorn_of(service))

        # The old process may still take a connection.
        wait_until(lambda: NEW_URL in links(), "the new settings")
        assert 'imagecatalog_info{version="99.9"} 1.0' in metrics()
        assert answered in metrics()  # no counter begins again
        wait_until(lambda: not worker.is_running(), "the end of the old worker")
        wait_until(lambda: servers.background_worker(service), "the new worker")


def test_a_service_that_cannot_be_reloaded_goes_on(code: Path, tmp_path: Path) -> None:
    with servers.catalogue(tmp_path, workers=1, root=code) as service:
        (old,) = gunicorns(service)
        module = code / "imagecatalog" / "settings.py"
        right = module.read_text()
        module.write_text(f"{right}\nraise ImproperlyConfigured('It is wrong.')\n")
        service.process.send_signal(signal.SIGHUP)
        wait_until(lambda: "not reloaded" in service.log.read_text(), "the refusal")

        assert "It is wrong." in service.log.read_text()
        assert gunicorns(service) == [old]
        with Api(service) as api:
            live(api)

        module.write_text(right)
        new = reload(service, old)
        wait_until(lambda: gunicorns(service) == [new], "the end of the old processes")


@pytest.mark.long
def test_the_former_web_server_goes_on_where_a_new_one_cannot_start(
    code: Path, tmp_path: Path
) -> None:
    with servers.catalogue(tmp_path, workers=1, root=code) as service:
        (old,) = gunicorns(service)
        module = code / "imagecatalog" / "server.py"
        module.write_text("raise RuntimeError('It is wrong.')\n")
        service.process.send_signal(signal.SIGHUP)
        wait_until(
            lambda: "the former one goes on" in service.log.read_text(), "the failure"
        )

        assert gunicorns(service) == [old]
        with Api(service) as api:
            live(api)


@pytest.mark.long
def test_a_stop_does_not_wait_for_what_a_reload_has_left(tmp_path: Path) -> None:
    with servers.catalogue(tmp_path, {"IMAGECATALOG_GRACE_SECONDS": "3"}) as service:
        image_id, upload = begin_upload(service)
        with upload:
            (old,) = gunicorns(service)
            reload(service, old)
            everyone = psutil.Process(service.process.pid).children(recursive=True)
            service.process.terminate()
            assert upload.recv(MIB).startswith(b"HTTP/1.1 503 ")
            assert service.process.wait(60) == 0

        _, alive = psutil.wait_procs(everyone, 5)
        assert alive == []


def test_signals_of_other_servers_change_nothing(tmp_path: Path) -> None:
    with servers.catalogue(tmp_path, workers=1) as service:
        before = gunicorns(service)
        for number in (signal.SIGUSR1, signal.SIGUSR2):
            service.process.send_signal(number)
        with Api(service) as api:
            live(api)
        assert gunicorns(service) == before

        service.process.send_signal(signal.SIGQUIT)
        assert service.process.wait(60) == 0


def test_a_service_whose_terminal_is_closed_ends(tmp_path: Path) -> None:
    servers.make_database(tmp_path)
    port = servers.free_port()
    ours, theirs = os.openpty()
    env = servers._own_environ() | {"IMAGECATALOG_DATA_DIR": str(tmp_path)}
    serve = [sys.executable, "manage.py", "serve", "--bind", f"127.0.0.1:{port}"]
    with subprocess.Popen(
        ["setsid", "--ctty", *serve],
        cwd=ROOT,
        env=env,
        stdin=theirs,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            os.close(theirs)
            wait_until(lambda: servers.status(f"http://127.0.0.1:{port}"), "serve")
            os.close(ours)

            assert process.wait(60) == 0
        finally:
            process.kill()
