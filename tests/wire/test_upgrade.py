"""A rolling upgrade: machines with this code and the previous release's serve one catalogue."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

import psutil
import pytest

from tests import old_code, servers
from tests.servers import Service
from tests.wire.api import OCTETS, Api

pytestmark = pytest.mark.slow

# The commit that counts as the last release as long as there is no tag.
FIRST = "99d2105c5905004fbaca7056fd8d91739e7e826f"
CLIENTS = 4
MANY_CLIENTS = 16


@pytest.fixture
def previous(tmp_path: Path) -> Path:
    """The folder with the code of the last release."""
    folder = tmp_path / "previous"
    try:
        listed = old_code.git("tag", "--merged", "HEAD~1", "--sort=-creatordate")
        tags = listed.decode().split()
        old_code.unpack(tags[0] if tags else FIRST, folder)
    except servers.Missing as missing:
        pytest.skip(str(missing))
    return folder


@contextmanager
def in_use(
    first: Service, second: Service | None = None, clients: int = CLIENTS
) -> Iterator[list[str]]:
    """Clients, each of which changes at one service and reads at the other; their lives."""
    lives: list[str] = []

    def use(number: int, stop: threading.Event) -> None:
        here, there = first, second or first
        while not stop.is_set():
            with Api(here) as writer, Api(there) as reader:
                lives.append(live(writer, reader))
            here, there = there, here

    with servers.in_threads(clients, use):
        yield lives


def live(writer: Api, reader: Api) -> str:
    """One image from its creation to its deletion; its id."""
    image_id = writer.new(name="upgraded")
    data = os.urandom(10_000)
    assert writer.upload(image_id, data).status_code == 204
    listed = reader.get("images", params={"name": "upgraded", "limit": 1000})
    assert image_id in [image["id"] for image in listed.json()["images"]]
    assert reader.data(image_id) == data
    assert reader.put(f"images/{image_id}/tags/seen").status_code == 204
    assert writer.image(image_id)["tags"] == ["seen"]
    assert writer.delete(f"images/{image_id}").status_code == 204
    assert reader.get(f"images/{image_id}").status_code == 404
    return image_id


def wait_for_more(lives: list[str], count: int) -> None:
    enough = len(lives) + count
    servers.wait_until(lambda: len(lives) >= enough, "images")


class Machine:
    """A machine with a service, which can be upgraded in two ways."""

    def __init__(self, folder: Path, env: dict[str, str]) -> None:
        folder.mkdir()
        self._folder, self._env, self._port = folder, env, servers.free_port()

    def start(self) -> None:
        self._start = servers.catalogue(
            self._folder, self._env, migrated=False, port=self._port
        )
        self.service = self._start.__enter__()

    def stop(self) -> None:
        self._start.__exit__(None, None, None)

    def restart(self) -> None:
        self.stop()
        self.start()

    def reload(self) -> None:
        servers.reload(self.service)


def shared(folder: Path, postgres_url: str) -> dict[str, str]:
    """The settings of machines that share a catalogue."""
    return {
        "DATABASE_URL": servers.new_database(postgres_url),
        "IMAGECATALOG_STORES": f"shared=file://{folder}/images",
        "IMAGECATALOG_SECRET_KEY": "the same on both machines, and long enough for both",
    }


def deleted_import(service: Service) -> str:
    """The id of an image whose data this code has imported, and which is deleted for good."""
    with Api(service) as api:
        image_id = api.new(name="imported")
        path = f"images/{image_id}"
        assert api.put(f"{path}/stage", data=b"staged", headers=OCTETS).ok
        method = {"method": {"name": "glance-direct"}}
        assert api.post(f"{path}/import", json=method).status_code == 202
        servers.wait_until(
            lambda: api.image(image_id)["status"] == "active", "the import"
        )
        assert api.delete(path).status_code == 204
    service.manage("image_scrub", "--now", image_id)
    return image_id


def test_the_previous_release_goes_on_while_this_one_migrates_and_serves(
    previous: Path, postgres_url: str, tmp_path: Path
) -> None:
    env = shared(tmp_path, postgres_url)
    old_folder, new_folder = tmp_path / "old", tmp_path / "new"
    old_folder.mkdir()
    new_folder.mkdir()
    old_start = servers.catalogue(old_folder, env, migrated=False, root=previous)
    with old_start as old, ExitStack() as stack:
        with Api(old) as api:
            kept = api.new(name="kept", tags=["old"], os_distro="debian")
            assert api.upload(kept, b"of the old release").status_code == 204
            shown = api.image(kept)
        with in_use(old) as before:
            servers.wait_until(lambda: len(before) > CLIENTS, "the first images")
            new = stack.enter_context(
                servers.catalogue(new_folder, env, migrated=False)
            )
        with in_use(old, new) as together:
            enough = 5 * CLIENTS
            servers.wait_until(lambda: len(together) > enough, "images of both")
        with Api(new) as api:
            now = api.image(kept)
            assert {name: now[name] for name in shown} == shown
            assert api.data(kept) == b"of the old release"
        # Its worker does not know imports.
        with servers.frozen(psutil.Process(old.process.pid)):
            image_id = deleted_import(new)
        stack.close()
        purge = ("image_purge", "--age", "0")
        purged = servers.manage(old.env, *purge, root=previous)
        assert f"{image_id}: purged" in purged.stdout, purged.stderr
        with Api(old) as api:
            assert live(api, api)

    assert "migrating the database" in new.log.read_text()
    assert "Traceback" not in old.log.read_text() + new.log.read_text()


@pytest.mark.long
@pytest.mark.parametrize("way", ["reload", "restart"])
def test_no_request_fails_while_machines_behind_a_proxy_are_upgraded_one_by_one(
    way: str, postgres_url: str, tmp_path: Path
) -> None:
    env = shared(tmp_path, postgres_url)
    machines = [Machine(tmp_path / name, env) for name in ("first", "second")]
    with ExitStack() as stack:
        for machine in machines:
            machine.start()
            stack.callback(machine.stop)
        urls = [machine.service.url for machine in machines]
        try:
            proxy = stack.enter_context(servers.nginx(tmp_path, *urls))
        except servers.Missing as missing:
            pytest.skip(str(missing))
        service = replace(machines[0].service, url=proxy)
        with in_use(service, clients=MANY_CLIENTS) as lives:
            wait_for_more(lives, MANY_CLIENTS)
            for machine in machines:
                getattr(machine, way)()
                wait_for_more(lives, 2 * MANY_CLIENTS)
        print(f"{len(lives)} images were made, used and deleted; no request failed")
