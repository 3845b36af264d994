"""The database goes away, hangs, is read-only or locked, and comes back."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg
import pytest
import requests

from tests import servers
from tests.servers import Service
from tests.wire.api import PATCH, Api, connect, upload_head
from tests.wire.evidence import Evidence

MIB = 1 << 20
DATA = os.urandom(12 * MIB)
LEASE = {"IMAGECATALOG_LEASE_SECONDS": "5"}
LONGEST = 6.0  # seconds that any client waits
CLIENTS = 16
RENAME = '[{"op": "replace", "path": "/name", "value": "renamed"}]'
DROP_OTHERS = """
    SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()
"""

pytestmark = [pytest.mark.needs_postgres, pytest.mark.xdist_group("outages")]


class Postgres(servers.StoppablePostgres):
    """A PostgreSQL that can be frozen too."""

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """It takes connections, and never answers."""
        with servers.frozen(self._process):
            yield

    def execute(self, statement: str) -> None:
        may_write = "-c default_transaction_read_only=off"
        with psycopg.connect(
            self.url, autocommit=True, options=may_write
        ) as connection:
            connection.execute(statement.encode())


@pytest.fixture(scope="module")
def database() -> Iterator[Postgres]:
    try:
        with servers.postgres() as url:
            server = Postgres(url)
            yield server
            server.stop(signal.SIGINT)
    except servers.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="module")
def management() -> str:
    return f"127.0.0.1:{servers.free_port()}"


@pytest.fixture(scope="module")
def service(
    database: Postgres, management: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    env = LEASE | {
        "DATABASE_URL": database.url,
        "IMAGECATALOG_MANAGEMENT_BIND": management,
    }
    # One process: each notices the end of an outage for itself, half a second later.
    folder = tmp_path_factory.mktemp("outages")
    with servers.catalogue(folder, env, workers=1) as service:
        yield service


@pytest.fixture
def api(service: Service) -> Iterator[Api]:
    with Api(service) as api:
        servers.wait_until(lambda: api.get("images").ok, "the service")
        yield api


@dataclass(frozen=True)
class Answer:
    """What a client got, and after how many seconds."""

    seconds: float
    response: requests.Response

    @property
    def is_refusal(self) -> bool:
        """A response that tells the client to come back."""
        response = self.response
        return response.status_code == 503 and int(response.headers["Retry-After"]) > 0


def timed(ask: Callable[[], requests.Response]) -> Answer:
    began = time.monotonic()
    response = ask()
    return Answer(time.monotonic() - began, response)


@contextmanager
def clients(service: Service, path: str) -> Iterator[list[Answer]]:
    """Many clients, which ask for the same path all the time."""
    answers: list[Answer] = []

    def ask(number: int, stop: threading.Event) -> None:
        with Api(service) as api:
            while not stop.is_set():
                answers.append(timed(lambda: api.get(path)))
                stop.wait(0.1)

    with servers.in_threads(CLIENTS, ask):
        yield answers


def lines(service: Service) -> int:
    return len(service.log.read_text().splitlines())


# Away


@pytest.mark.slow
def test_every_client_is_answered_in_time_while_the_database_is_away(
    database: Postgres, service: Service, api: Api
) -> None:
    image_id = api.new()
    logged = lines(service)
    with clients(service, f"images/{image_id}") as answers:
        time.sleep(1)
        database.stop()
        time.sleep(5)
        database.start()
        returned = time.monotonic()
        servers.wait_until(lambda: api.get("images").ok, "an answer", 3)
        print(f"answered {time.monotonic() - returned:.1f} s after the return")
        time.sleep(1)

    refused = [it for it in answers if it.response.status_code != 200]
    assert CLIENTS < len(refused) < len(answers)
    assert all(it.is_refusal for it in refused)
    assert max(it.seconds for it in answers) < LONGEST
    assert lines(service) - logged < 10


@pytest.mark.slow
def test_readiness_ends_and_returns_with_the_database(
    database: Postgres, management: str, service: Service, api: Api
) -> None:
    addresses = f"http://{management}", service.url

    def ask(path: str) -> set[int]:
        return {requests.get(url + path, timeout=60).status_code for url in addresses}

    servers.wait_until(lambda: ask("/readyz") == {200}, "readiness")
    try:
        began = time.monotonic()
        database.stop()
        servers.wait_until(lambda: ask("/readyz") == {503}, "its end", 5)
        print(f"not ready after {time.monotonic() - began:.1f} s")
        assert ask("/livez") == {200}
    finally:
        database.start()
    began = time.monotonic()
    servers.wait_until(lambda: ask("/readyz") == {200}, "readiness, again", 5)
    print(f"ready after {time.monotonic() - began:.1f} s")


def test_a_refusal_has_the_form_of_its_interface(
    database: Postgres, service: Service, api: Api
) -> None:
    def ask(path: str, **headers: str) -> requests.Response:
        return requests.get(service.url + path, headers=headers, auth=service.auth)

    login = {"auth": {"identity": {"methods": ["password"], "password": {"user": {
        "name": "admin", "domain": {"id": "default"}, "password": service.password,
    }}}}}  # fmt: skip
    database.stop()
    try:
        v2 = ask("/v2/images", Accept="application/json")
        v1 = ask("/v1/images", Accept="text/plain")
        token = requests.post(f"{service.url}/identity/v3/auth/tokens", json=login)
        session = {"Cookie": "sessionid=abcdefghijklmnopqrstuvwxyz012345"}
        page = requests.get(f"{service.url}/admin/images/image/", headers=session)
    finally:
        database.start()

    assert all(Answer(0, it).is_refusal for it in (v2, v1, token, page))
    said = "The database is not available. Retry later."
    assert v2.json()["message"].startswith(said)
    assert v1.text == f"503 Service Unavailable\n\n{said}\n\n"
    assert token.json()["error"] | {"title": ""} == {
        "code": 503,
        "message": said,
        "title": "",
    }
    assert said in page.text
    assert "<header" in page.text
    assert "Traceback" not in service.log_tail()


def test_a_database_that_dropped_its_connections_costs_no_request(
    database: Postgres, service: Service, api: Api
) -> None:
    ask = f"images/{api.new()}"
    with ThreadPoolExecutor(CLIENTS) as pool:
        assert {it.status_code for it in pool.map(api.get, [ask] * 64)} == {200}
        database.execute(DROP_OTHERS)

        assert {it.status_code for it in pool.map(api.get, [ask] * 64)} == {200}


@pytest.mark.slow
def test_an_upload_during_which_the_database_goes_away_can_be_repeated(
    database: Postgres, service: Service, api: Api
) -> None:
    evidence = Evidence(service, service.data_dir / "images")
    image_id = api.new()
    with connect(service) as sock:
        announced = f"Content-Length: {len(DATA)}"
        sock.sendall(upload_head(service, image_id, announced) + DATA[:MIB])
        evidence.wait_for(image_id, "saving")
        database.stop()
        sock.sendall(DATA[MIB:])
        began = time.monotonic()
        answer = sock.makefile("rb").readline()
        seconds = time.monotonic() - began
        database.start()
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert seconds < LONGEST

    evidence.wait_for(image_id, "queued", 40)
    evidence.wait_for_nothing_left(image_id)
    assert api.upload(image_id, DATA).status_code == 204
    assert api.data(image_id) == DATA


# Silent


@pytest.mark.slow
def test_nobody_waits_for_a_database_that_hangs(
    database: Postgres, service: Service, api: Api
) -> None:
    path = f"images/{api.new()}"
    with database.frozen(), clients(service, path) as answers:
        time.sleep(8)

    assert all(it.is_refusal for it in answers)
    assert max(it.seconds for it in answers) < LONGEST
    servers.wait_until(lambda: api.get(path).ok, "an answer", 3)


# Read-only


def test_a_read_only_database_refuses_changes_until_it_is_writable(
    database: Postgres, api: Api
) -> None:
    image_id = api.new()
    setting = "ALTER DATABASE postgres SET default_transaction_read_only"

    database.execute(f"{setting} = on")
    database.execute(DROP_OTHERS)
    refused = [timed(lambda: api.post("images", json={})) for _ in range(CLIENTS)]
    shown = api.get(f"images/{image_id}")
    database.execute(f"{setting} = off")
    time.sleep(1.5)  # a read-only session is replaced after a second
    created = [api.post("images", json={}) for _ in range(CLIENTS)]

    assert all(it.is_refusal for it in refused)
    assert "The database is read-only" in refused[0].response.text
    assert shown.status_code == 200
    assert {it.status_code for it in created} == {201}


# Locked


def test_a_locked_row_makes_nobody_else_wait(database: Postgres, api: Api) -> None:
    locked, other = api.new(), api.new()

    def rename(image_id: str) -> Answer:
        path = f"images/{image_id}"
        return timed(lambda: api.patch(path, data=RENAME, headers=PATCH))

    with (
        psycopg.connect(database.url) as holder,
        ThreadPoolExecutor(2 * CLIENTS) as pool,
    ):
        lock = f"SELECT 1 FROM images_image WHERE id = '{locked}' FOR UPDATE"
        holder.execute(lock.encode())
        waiting = [pool.submit(rename, locked) for _ in range(2 * CLIENTS)]
        time.sleep(0.5)
        others = [rename(other), timed(lambda: api.get("images"))]
        refused = [it.result() for it in waiting]

    assert all(it.is_refusal for it in refused)
    assert "locked" in refused[0].response.text
    assert {it.response.status_code for it in others} == {200}
    assert max(it.seconds for it in refused + others) < LONGEST
    assert rename(locked).response.status_code == 200


# At the start


def test_a_start_without_the_database_ends_with_the_reason(tmp_path: Path) -> None:
    port = servers.free_port()
    env = os.environ | {
        "IMAGECATALOG_DATA_DIR": str(tmp_path),
        "DATABASE_URL": f"postgresql://nobody@127.0.0.1:{port}/nothing",
    }

    done = servers.manage(env, "serve", "--bind", "127.0.0.1:0")

    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "Connection refused" in done.stderr.splitlines()[-1]
