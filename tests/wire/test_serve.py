"""`manage.py serve`: the first minute, and every way in which it can end."""

from __future__ import annotations

import os
import re
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, contextmanager
from pathlib import Path

import psutil
import psycopg
import pytest
import requests

from images.management.migration_lock import MIGRATION_LOCK
from images.management.supervisor import PREPARE
from tests import servers
from tests.wire.api import Api

Serve = Callable[..., subprocess.Popen[bytes]]
# `serve`, which gives its background worker one second to end instead of ten.
IMPATIENT = """
import django, os
os.environ["DJANGO_SETTINGS_MODULE"] = "imagecatalog.settings"
django.setup()
from images.management import supervisor
from imagecatalog.__main__ import main
supervisor.WORKER_PATIENCE = 1.0
main()
"""
OWN_PASSWORD = {"IMAGECATALOG_ADMIN_PASSWORD": ""}  # have one made


@pytest.fixture
def service(tmp_path: Path) -> Iterator[servers.Service]:
    with servers.catalogue(tmp_path, {"IMAGECATALOG_GRACE_SECONDS": "4"}) as service:
        yield service


def serve(folder: Path, *options: str, **env: str) -> subprocess.CompletedProcess[str]:
    """A `serve` that is expected to end at once."""
    return subprocess.run(
        [sys.executable, servers.ROOT / "manage.py", "serve", *options],
        cwd=folder,
        env=os.environ | {"IMAGECATALOG_DATA_DIR": str(folder)} | env,
        capture_output=True,
        text=True,
        timeout=60,
    )


def family(service: servers.Service) -> list[psutil.Process]:
    return psutil.Process(service.process.pid).children(recursive=True)


def all_gone(processes: list[psutil.Process]) -> bool:
    gone = (psutil.STATUS_ZOMBIE,)
    return not any(it.is_running() and it.status() not in gone for it in processes)


# The beginning


def test_the_first_start_shows_a_password_that_works_and_later_ones_none(
    tmp_path: Path,
) -> None:
    with servers.catalogue(tmp_path, OWN_PASSWORD, migrated=False) as first:
        shown = re.search(r"First user: admin, password: (\S+)", first.log.read_text())
        assert shown
        answer = requests.get(f"{first.url}/v2/images", auth=("admin", shown[1]))
        assert answer.status_code == 200

    with servers.catalogue(tmp_path, OWN_PASSWORD) as second:
        assert "First user" not in second.log.read_text()
        assert "OS_PASSWORD=PASSWORD" in second.log.read_text()


@pytest.mark.slow
def test_the_commands_that_it_suggests_work_as_they_stand(tmp_path: Path) -> None:
    with servers.catalogue(tmp_path, OWN_PASSWORD) as service:
        text = service.log.read_text()
        script = text[text.index("  OS_AUTH_TYPE") : text.index("  curl")]
        programs = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
        done = subprocess.run(
            ["sh", "-ec", script],
            env={"PATH": programs, "HOME": str(tmp_path)},
            capture_output=True,
            text=True,
        )

    assert done.returncode == 0, done.stderr


def test_a_port_that_is_taken_is_said_to_be(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = serve(tmp_path, "--bind", f"127.0.0.1:{port}")

    assert done.returncode == 1
    assert (
        f"Cannot listen on 127.0.0.1 port {port}: Address already in use" in done.stderr
    )
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    "bind", ["9292", "127.0.0.1:http", "127.0.0.1:99999", "unix:", "fd://a"]
)
def test_an_address_that_is_none_is_refused(tmp_path: Path, bind: str) -> None:
    done = serve(tmp_path, "--bind", bind)

    assert (done.returncode, "must be HOST:PORT" in done.stderr) == (1, True)


def test_a_misspelt_variable_is_warned_of_at_the_start(tmp_path: Path) -> None:
    done = serve(tmp_path, "--bind", "nowhere", IMAGECATALOG_STORE="a=file:///srv")

    hint = done.stderr.partition("Did you mean ")[2]
    assert "IMAGECATALOG_STORES" in hint


def test_without_leave_to_migrate_it_makes_no_tables(tmp_path: Path) -> None:
    done = serve(tmp_path, "--no-migrate", "--bind", "127.0.0.1:0")

    assert done.returncode == 1
    assert "There are no tables" in done.stderr
    assert "Run the command `migrate`" in done.stderr
    assert not (tmp_path / servers.SQLITE).exists()


@pytest.mark.parametrize("bind", ["0.0.0.0:0", "[::]:0", "192.0.2.1:0"])
def test_without_sign_in_it_serves_loopback_only(tmp_path: Path, bind: str) -> None:
    done = serve(tmp_path, "--bind", bind, IMAGECATALOG_AUTH="none")

    assert done.returncode == 1
    assert "IMAGECATALOG_AUTH_NONE_REMOTE=on" in done.stderr


def test_two_services_may_start_at_once_on_a_new_database(tmp_path: Path) -> None:
    both_start_on(tmp_path, servers.preparing(tmp_path / "data"))


def test_two_services_may_start_at_once_on_a_new_postgresql(
    tmp_path: Path, postgres_url: str
) -> None:
    url = servers.new_database(postgres_url)
    both_start_on(tmp_path, advisory_lock(url), DATABASE_URL=url)


def both_start_on(
    folder: Path, lock: AbstractContextManager[object], **env: str
) -> None:
    """Start two services at the moment in which a third one, which prepares the database, dies."""

    def one(_: int) -> None:
        start = servers.catalogue(folder, env, workers=1, migrated=False)
        with start as service:
            time.sleep(1)  # so that the other one starts while this one runs
            answer = requests.get(f"{service.url}/v2/images", auth=service.auth)
            assert answer.status_code == 200

    with ThreadPoolExecutor(2) as pool:
        with lock:
            starts = [pool.submit(one, number) for number in range(2)]
            servers.wait_until(lambda: len(waiting(folder)) == 2, "both")
            assert not any(start.done() for start in starts)
        for start in starts:
            start.result()


def waiting(folder: Path) -> list[Path]:
    """The logs of the services that wait for another one to prepare the database."""
    return [
        log for log in folder.glob("*.log") if "is being prepared" in log.read_text()
    ]


@contextmanager
def advisory_lock(url: str) -> Iterator[None]:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
        yield


def test_the_command_migrate_waits_for_a_service_that_migrates(tmp_path: Path) -> None:
    command = [sys.executable, servers.ROOT / "manage.py", "migrate", "--verbosity=0"]
    env = os.environ | {"IMAGECATALOG_DATA_DIR": str(tmp_path / "data")}
    log = tmp_path / "migrate.log"
    with servers.preparing(tmp_path / "data"), log.open("w") as output:
        process = subprocess.Popen(command, env=env, stderr=output)
        servers.wait_until(lambda: waiting(tmp_path), "migrate", process=process)

    assert process.wait(60) == 0, log.read_text()


def test_a_start_writes_nothing_to_a_database_that_is_prepared(tmp_path: Path) -> None:
    servers.make_database(tmp_path)
    secret = {"IMAGECATALOG_SECRET_KEY": "known, and long enough for a test"}
    first = serve(tmp_path, PREPARE, **secret)
    assert first.returncode == 0, first.stderr
    database = sqlite3.connect(tmp_path / servers.SQLITE, isolation_level=None)
    with closing(database):
        database.execute("BEGIN IMMEDIATE")  # a client's change, as it could be
        began = time.monotonic()
        second = serve(tmp_path, PREPARE, **secret)

    assert (second.returncode, second.stdout) == (0, ""), second.stderr
    assert time.monotonic() - began < 20  # the wait for a lock takes 30 s


# The end


def test_on_sigterm_everything_ends(service: servers.Service) -> None:
    processes = family(service)
    service.process.terminate()

    assert service.process.wait(60) == 0
    assert all_gone(processes)


def test_ctrl_c_ends_everything_without_a_traceback(service: servers.Service) -> None:
    processes = family(service)
    os.killpg(service.process.pid, signal.SIGINT)

    assert service.process.wait(60) == 0
    assert all_gone(processes)
    assert "Traceback" not in service.log.read_text()


def test_nothing_outlives_a_killed_supervisor(service: servers.Service) -> None:
    processes = family(service)
    service.process.kill()

    servers.wait_until(lambda: all_gone(processes), "the end of all")


def test_a_background_worker_that_dies_is_replaced(service: servers.Service) -> None:
    servers.wait_until(lambda: servers.background_worker(service), "the worker")
    first = servers.background_worker(service)
    assert first
    first.kill()
    first.wait()

    servers.wait_until(lambda: servers.background_worker(service), "another worker")


def test_a_background_worker_that_is_frozen_delays_the_end_for_its_time_only(
    tmp_path: Path,
) -> None:
    impatient = sys.executable, "-c", IMPATIENT
    with servers.catalogue(tmp_path, workers=1, program=impatient) as service:
        servers.wait_until(lambda: servers.background_worker(service), "the worker")
        worker = servers.background_worker(service)
        assert worker
        worker.suspend()
        began = time.monotonic()
        service.process.terminate()

        assert service.process.wait(60) == 0
    assert 1 < time.monotonic() - began < 10
    assert all_gone([worker])


def test_a_killed_gunicorn_is_replaced_and_clients_wait_for_it(
    service: servers.Service,
) -> None:
    master = servers.gunicorn_of(service)
    workers = master.children()
    master.kill()
    servers.wait_until(lambda: all_gone(workers), "the end of the web workers")

    answer = requests.get(f"{service.url}/v2/images", auth=service.auth, timeout=30)

    assert answer.status_code == 200
    assert servers.gunicorn_of(service).pid != master.pid
    assert "gunicorn was killed by signal 9; it is restarted" in service.log.read_text()


def test_when_gunicorn_ends_everything_does(service: servers.Service) -> None:
    worker = servers.background_worker(service)
    assert worker
    others = [it for it in family(service) if it.pid != worker.pid]
    servers.gunicorn_of(service).terminate()

    assert service.process.wait(60) == 0
    assert all_gone([worker, *others])


def test_an_upload_under_way_at_the_end_leaves_its_image_to_be_tried_again(
    service: servers.Service, tmp_path: Path
) -> None:
    fields = {"disk_format": "raw", "container_format": "bare"}
    created = requests.post(f"{service.url}/v2/images", json=fields, auth=service.auth)
    image = f"{service.url}/v2/images/{created.json()['id']}"

    def slowly() -> Iterator[bytes]:
        service.process.terminate()
        while True:
            yield bytes(1000)
            time.sleep(0.1)

    octets = {"Content-Type": "application/octet-stream"}
    answer = requests.put(f"{image}/file", slowly(), headers=octets, auth=service.auth)
    assert (answer.status_code, service.process.wait(60)) == (503, 0)

    with servers.catalogue(tmp_path) as again:
        image = image.replace(service.url, again.url)
        assert requests.get(image, auth=again.auth).json()["status"] == "queued"


@pytest.mark.sqlite
def test_no_image_is_acknowledged_while_the_database_file_is_away(
    service: servers.Service,
) -> None:
    file = service.data_dir / servers.SQLITE
    with Api(service) as api:
        image_id = api.new()
        away = file.rename(file.with_suffix(".away"))

        refused = api.post("images", json={"name": "lost"})

        assert refused.status_code == 503
        assert int(refused.headers["Retry-After"]) > 0
        assert not file.exists()
        away.rename(file)
        servers.wait_until(lambda: api.get(f"images/{image_id}").ok, "the database")


@pytest.mark.parametrize(
    ("trusted", "scheme"),
    [("", "https"), ("127.0.0.0/8", "https"), ("10.0.0.1", "http")],
)
def test_the_scheme_is_believed_from_whom_the_address_is(
    trusted: str, scheme: str, tmp_path: Path
) -> None:
    env = {"IMAGECATALOG_TRUSTED_PROXIES": trusted, "IMAGECATALOG_ACCESS_LOG": "on"}
    with servers.catalogue(tmp_path, env, workers=1) as service:
        headers = {"X-Forwarded-Proto": "https", "X-Forwarded-For": "192.0.2.7"}
        found = requests.get(f"{service.url}/versions", headers=headers).json()
        requests.get(
            f"{service.url}/v2/images", auth=("admin", "wrong"), headers=headers
        )

        assert found["versions"][0]["links"][0]["href"].startswith(f"{scheme}://")
        client = "192.0.2.7" if trusted.startswith("127.") else "127.0.0.1"
        assert f"'admin' from {client}" in service.log_tail()
        line = rf'request=req-\S+ .+ {client} "GET /v2/images HTTP/1.1" 401 \d+ \d+ ms'
        # It is written when the client has had its answer.
        servers.wait_until(lambda: re.search(line, service.log_tail()), "a line")
