"""Two services on one database and one object store, of which one dies.

Data is staged at the first service, imported by the second, and read from both. In each step of
an import the service that works dies as a whole, and a client does the rest at the other one.
``make crash`` tries every step. Clients also race through HAProxy while one service dies, as in
``make cluster``, which takes longer and has more of them.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path

import pytest
import requests

from tests import servers
from tests.cluster import haproxy, races
from tests.cluster.answers import judged
from tests.crash.judge import Judge
from tests.servers import Service
from tests.wire.api import OCTETS, Api
from tests.wire.evidence import Evidence

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("two services")]

DATA = os.urandom((9 << 20) + 7)  # more than one part of an upload to S3
MIB = 1 << 20
SAME, FURTHER = "objects", "further"  # where the data is staged, and another store
STAGING = ["stage.begun", "chunk.stored", "chunk.counted", "stage.stored"]
IMPORTING = [
    ("import.requested", SAME),
    ("import.begun", SAME),
    ("data.streaming", SAME),
    ("import.stored", SAME),
    ("data.active", SAME),
    # Only for another store the data is written again.
    ("data.streaming", FURTHER),
    ("data.received", FURTHER),
    ("import.stored", FURTHER),
    ("data.active", FURTHER),
    ("chunk.removed", FURTHER),
]
if "CRASH_STEPS" not in os.environ:
    STAGING, IMPORTING = ["chunk.stored"], [("data.received", FURTHER)]


class Pair:
    """Two services with a data folder each."""

    def __init__(self, folder: Path, env: dict[str, str], stack: ExitStack) -> None:
        self._env, self.stack = env, stack
        self._folders = [folder / name for name in ("first", "second")]
        for one in self._folders:
            one.mkdir()
        self.notes = {index: one / "die-at" for index, one in enumerate(self._folders)}
        self._ports = [servers.free_port() for _ in self._folders]
        self.services = [self._start(index) for index in range(2)]

    def _start(self, index: int) -> Service:
        env = self._env | {"IMAGECATALOG_CRASH_FILE": str(self.notes[index])}
        started = servers.catalogue(self._folders[index], env, port=self._ports[index])
        return self.stack.enter_context(started)

    def revive(self) -> None:
        """Start again what was killed."""
        for index, service in enumerate(self.services):
            if service.process.poll() is not None:
                self.services[index] = self._start(index)

    def die(self, index: int) -> None:
        """Kill a service when a process of it has died by its note."""
        servers.wait_until(lambda: not self.notes[index].exists(), "the failpoint")
        self.services[index].kill()


@pytest.fixture(scope="module")
def running(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, s3_server: servers.S3
) -> Iterator[Pair]:
    stores = [s3_server.store(name, f"two-services/{name}") for name in (SAME, FURTHER)]
    env = s3_server.env | {
        "DATABASE_URL": servers.prepared_database(postgres_url),
        "IMAGECATALOG_STORES": ",".join(stores),
        "IMAGECATALOG_SECRET_KEY": "the same on both machines, and long enough for both",
        "IMAGECATALOG_DELAYED_DELETE": "off",
        "IMAGECATALOG_TRUSTED_PROXIES": "127.0.0.1",
        "IMAGECATALOG_IMAGE_CHANGE_RATE": "0",  # all clients change one image
    }
    with ExitStack() as stack:
        yield Pair(tmp_path_factory.mktemp("two"), env, stack)


@pytest.fixture
def pair(running: Pair) -> Pair:
    running.revive()
    return running


@pytest.fixture(scope="module")
def judge(running: Pair, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Judge]:
    env = running.services[0].env | {"IMAGECATALOG_CRASH_FILE": ""}
    env["DJANGO_SETTINGS_MODULE"] = "imagecatalog.settings"
    found = Judge(env, tmp_path_factory.mktemp("judge") / "log")
    yield found
    found.close()


def stage(service: Service, image_id: str) -> None:
    """Also by a service that dies meanwhile."""
    with Api(service) as api, suppress(requests.RequestException):
        api.put(f"images/{image_id}/stage", data=DATA, headers=OCTETS)


def ask(service: Service, image_id: str, store: str) -> None:
    """Request the import, also by a service that dies meanwhile."""
    body = {"method": {"name": "glance-direct"}, "stores": [store]}
    with Api(service) as api, suppress(requests.RequestException):
        api.post(f"images/{image_id}/import", json=body)


def bring_to_its_end(service: Service, image_id: str, store: str, judge: Judge) -> None:
    """Do at this service what is still to be done for the image, whatever that is."""

    def is_active() -> bool:
        judge.settle(0)
        with Api(service) as api:
            status = api.image(image_id)["status"]
        if status == "queued":
            stage(service, image_id)
        if status == "uploading":
            ask(service, image_id, store)
        return status == "active"

    servers.wait_until(is_active, "the import", 60)


def assert_is_whole(
    pair: Pair, image_id: str, judge: Judge, s3_server: servers.S3
) -> None:
    """Both services give the data, nothing else is left, and the image can be deleted."""
    pair.revive()
    for service in pair.services:
        with Api(service) as api:
            assert api.data(image_id) == DATA
    assert judge.settle(30) == []
    assert judge.check() == []
    first = pair.services[0]
    with Api(first) as api:
        assert api.delete(f"images/{image_id}").status_code == 204
    evidence = Evidence(first, s3_server.folder.parent)
    evidence.wait_for_nothing_left(image_id)


@pytest.mark.long
@pytest.mark.parametrize("point", STAGING)
def test_the_service_that_receives_staged_data_dies(
    point: str, pair: Pair, judge: Judge, s3_server: servers.S3
) -> None:
    first, second = pair.services
    with Api(first) as api:
        image_id = api.new(name=point)

    pair.notes[0].write_text(point)
    stage(first, image_id)
    pair.die(0)

    bring_to_its_end(second, image_id, SAME, judge)
    assert_is_whole(pair, image_id, judge, s3_server)


@pytest.mark.parametrize(("point", "store"), IMPORTING)
def test_the_service_that_imports_what_the_other_has_staged_dies(
    point: str, store: str, pair: Pair, judge: Judge, s3_server: servers.S3
) -> None:
    first, second = pair.services
    with Api(first) as api:
        image_id = api.new(name=point)
    stage(first, image_id)

    worker = servers.background_worker(first)
    assert worker
    with servers.frozen(worker):  # so that it leaves the import to the other one
        pair.notes[1].write_text(point)
        ask(second, image_id, store)
        pair.die(1)

    bring_to_its_end(first, image_id, store, judge)
    assert_is_whole(pair, image_id, judge, s3_server)


def test_a_download_goes_on_at_the_other_service(
    pair: Pair, judge: Judge, s3_server: servers.S3
) -> None:
    first, second = pair.services
    with Api(first) as api:
        image_id = api.new(name="downloaded")
        stage(first, image_id)
        bring_to_its_end(second, image_id, SAME, judge)
        path = f"images/{image_id}/file"
        with api.get(path, stream=True) as answer:
            begun = answer.raw.read(MIB)
            first.kill()
    with Api(second) as api:
        rest = api.get(path, headers={"Range": f"bytes={MIB}-"})

    assert rest.status_code == 206
    assert begun + rest.content == DATA
    assert_is_whole(pair, image_id, judge, s3_server)


def test_races_through_haproxy_lose_nothing_when_one_service_dies(
    pair: Pair, judge: Judge, tmp_path: Path
) -> None:
    urls = [service.url for service in pair.services]
    try:
        balanced = pair.stack.enter_context(haproxy.before_services(tmp_path, urls))
    except servers.Missing as missing:
        pytest.skip(str(missing))
    front = replace(pair.services[0], url=balanced[0])
    every = [
        races.Ids(front),
        races.Patches(front),
        races.Uploads(pair.services),
        races.Promotions(front),
    ]
    count, work = races.runner(every)

    with servers.in_threads(count, work):
        time.sleep(2)
        pair.services[1].kill()
        time.sleep(2)
    pair.revive()

    assert [wrong for race in every for wrong in race.wrongs()] == []
    figures = [figure for race in every for figure in judged("", race.answers)]
    assert [figure for figure in figures if not figure.kept] == []
    done = [sum(it.status < 300 for it in race.answers) for race in every]
    assert min(done) > 20, done
    assert judge.settle(30) == []
    assert judge.check() == []
