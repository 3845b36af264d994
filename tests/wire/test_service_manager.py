"""Messages of `serve` to the service manager that has started it, such as systemd."""

from __future__ import annotations

import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

import psutil
import pytest
import requests

from images.management.processes import OF_SYSTEMD
from tests import servers
from tests.servers import Service, wait_until

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("service-manager")]

BEAT = "WATCHDOG=1"


@dataclass
class Manager:
    """A service manager, and the messages that it has got; each is a list of lines.

    ``heard_at`` is the time of the last one.
    """

    address: str
    messages: list[list[str]] = field(default_factory=list)
    heard_at: float = 0

    def wait_for(self, line: str, after: int = 0) -> int:
        """The number of the first message with a line, after so many messages."""

        def found() -> list[int]:
            new = enumerate(self.messages[after:], after)
            return [number for number, message in new if line in message]

        wait_until(found, line)
        return found()[0]


@contextmanager
def managing() -> Iterator[Manager]:
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sock:
        sock.bind("")  # the kernel chooses an address without a file
        sock.settimeout(0.1)
        manager = Manager(sock.getsockname().decode().replace("\0", "@"))

        def listen(_: int, stop: Event) -> None:
            while not stop.is_set():
                with suppress(TimeoutError):
                    manager.messages.append(sock.recv(4096).decode().splitlines())
                    manager.heard_at = time.monotonic()

        with servers.in_threads(1, listen):
            yield manager


@pytest.fixture(scope="module")
def manager() -> Iterator[Manager]:
    with managing() as manager:
        yield manager


@pytest.fixture(scope="module")
def url_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The file with the public URL of the service."""
    path = tmp_path_factory.mktemp("settings") / "url"
    path.write_text("https://images.example.org")
    return path


@pytest.fixture(scope="module")
def service(
    manager: Manager, url_file: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Service]:
    env = {
        "NOTIFY_SOCKET": manager.address,
        "WATCHDOG_USEC": "60000000",
        "IMAGECATALOG_PUBLIC_URL_FILE": str(url_file),
    }
    folder = tmp_path_factory.mktemp("service-manager")
    with servers.catalogue(folder, env, workers=1) as service:
        manager.wait_for("READY=1")
        yield service


def test_a_service_is_ready_when_its_database_is_prepared_and_it_serves(
    tmp_path: Path,
) -> None:
    data_dir, address = tmp_path / "data", f"127.0.0.1:{servers.free_port()}"
    servers.make_database(data_dir)
    log = tmp_path / "log"
    command = [sys.executable, "manage.py", "serve", "--bind", address]
    with managing() as manager, ExitStack() as stack:
        lock = stack.enter_context(ExitStack())
        lock.enter_context(servers.preparing(data_dir))
        env = servers._own_environ() | {
            "IMAGECATALOG_DATA_DIR": str(data_dir),
            "NOTIFY_SOCKET": manager.address,
        }
        process = stack.enter_context(servers.running(command, env, log, seconds=60))
        wait_until(
            lambda: "is being prepared" in log.read_text(), "the wait", 60, process
        )
        assert manager.messages == [["STATUS=Prepares the database."]]

        lock.close()

        manager.wait_for("READY=1")
        assert requests.get(f"http://{address}/versions", timeout=60).status_code == 200
        process.terminate()
        manager.wait_for("STOPPING=1")
        assert process.wait(60) == 0
    assert ["WATCHDOG=1"] not in manager.messages  # nobody has asked for it


def test_the_processes_of_a_service_do_not_report_to_its_manager(
    service: Service,
) -> None:
    environments = []
    for process in psutil.Process(service.process.pid).children(recursive=True):
        with suppress(
            psutil.NoSuchProcess
        ):  # a program that the worker has started and that ended
            environments.append(process.environ())

    assert len(environments) >= 3  # gunicorn, a web process and the worker
    assert not any(OF_SYSTEMD & it.keys() for it in environments)


@pytest.mark.parametrize("of", ["web", "worker"])
def test_the_watchdog_hears_of_a_service_only_while_its_processes_run(
    of: str, manager: Manager, service: Service
) -> None:
    wait_until(lambda: servers.background_worker(service), "the worker")
    worker, web = servers.background_worker(service), servers.gunicorn_of(service)
    assert worker
    manager.wait_for(BEAT, len(manager.messages))

    with servers.frozen(worker if of == "worker" else web.children()[0]):
        # Otherwise it hears every second.
        wait_until(lambda: time.monotonic() - manager.heard_at > 3, "silence")

    manager.wait_for(BEAT, len(manager.messages))


def test_a_reload_is_told_and_its_end_too(manager: Manager, service: Service) -> None:
    former, count = servers.gunicorn_of(service), len(manager.messages)
    began = microseconds()
    service.process.send_signal(signal.SIGHUP)

    reloading = manager.wait_for("RELOADING=1", count)
    ready = manager.wait_for("READY=1", count)

    assert reloading < ready
    _, at, _ = manager.messages[reloading]
    assert began < int(at.removeprefix("MONOTONIC_USEC=")) < microseconds()
    new = [it for it in servers.gunicorns(service) if it != former]
    assert new
    assert new[0].children()  # web processes
    manager.wait_for(BEAT, ready)


def test_a_service_that_cannot_be_reloaded_is_ready_again(
    manager: Manager, service: Service, url_file: Path
) -> None:
    count, right = len(manager.messages), url_file.read_text()
    url_file.write_text("wrong")
    service.process.send_signal(signal.SIGHUP)

    ready = manager.wait_for("READY=1", manager.wait_for("RELOADING=1", count))

    url_file.write_text(right)
    assert "not reloaded" in service.log.read_text()
    manager.wait_for(BEAT, ready)


def microseconds() -> int:
    """The time of the clock by which systemd compares."""
    return time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
