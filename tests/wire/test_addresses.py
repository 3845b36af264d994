"""The addresses on which `manage.py serve` listens: several, of every family, or inherited."""

from __future__ import annotations

import base64
import os
import re
import socket
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import ExitStack, closing
from dataclasses import dataclass, replace
from http.client import HTTPConnection
from io import StringIO
from pathlib import Path

import pytest

from images.management.commands.serve import Command
from tests import servers
from tests.servers import Service
from tests.wire.api import Api

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("addresses")]

DATA = os.urandom((3 << 20) + 7)
# As systemd passes a socket: descriptors from 3 on, and the number of the process.
ACTIVATE = """
import os, sys
os.dup2(int(sys.argv[1]), 3)
os.environ.update(LISTEN_FDS="1", LISTEN_PID=str(os.getpid()))
os.execv(sys.executable, [sys.executable, "manage.py", "serve"])
"""


class ByPath(HTTPConnection):
    """HTTP by a Unix socket, or by a socket to any address."""

    def __init__(self, family: socket.AddressFamily, address: object) -> None:
        super().__init__("localhost", timeout=30)
        self._family, self._address = family, address

    def connect(self) -> None:
        self.sock = socket.socket(self._family)
        self.sock.settimeout(30)
        self.sock.connect(self._address)


@dataclass(frozen=True)
class Addresses:
    service: Service
    path: Path
    port: int  # of all networks


@pytest.fixture(scope="module")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    folder = tmp_path_factory.mktemp("addresses")
    path, port = folder / "api.sock", servers.free_port()
    options = ["--bind", f"unix:{path}", "--bind", f"[::]:{port}"]
    with servers.catalogue(folder, workers=1, options=options) as service:
        yield Addresses(service, path, port)
    assert not path.exists(), "the socket outlived the service"


def headers(service: Service) -> dict[str, str]:
    user = base64.b64encode(":".join(service.auth).encode()).decode()
    return {
        "Authorization": f"Basic {user}",
        "Content-Type": "application/octet-stream",
    }


def ask(
    connection: HTTPConnection,
    service: Service,
    method: str,
    path: str,
    body: object = None,
) -> tuple[int, bytes]:
    with closing(connection):
        connection.request(method, path, body, headers(service))
        response = connection.getresponse()
        return response.status, response.read()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_all_networks_are_those_of_ipv4_and_ipv6(
    addresses: Addresses, host: str
) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    connection = ByPath(family, (host, addresses.port))

    assert ask(connection, addresses.service, "GET", "/v2/images")[0] == 200


def test_the_address_of_a_mapped_client_is_that_of_ipv4(addresses: Addresses) -> None:
    stranger = replace(addresses.service, username="stranger")
    connection = ByPath(socket.AF_INET, ("127.0.0.1", addresses.port))
    assert ask(connection, stranger, "GET", "/v2/images")[0] == 401

    assert "'stranger' from 127.0.0.1" in addresses.service.log_tail()


def test_images_go_in_and_out_by_a_unix_socket(addresses: Addresses) -> None:
    with Api(addresses.service) as api:
        image_id = api.new()
    connection = ByPath(socket.AF_UNIX, str(addresses.path))
    file = f"/v2/images/{image_id}/file"

    assert ask(connection, addresses.service, "PUT", file, DATA)[0] == 204
    assert ask(connection, addresses.service, "GET", file) == (200, DATA)


def test_a_unix_socket_is_for_the_user_and_its_group(addresses: Addresses) -> None:
    assert stat.S_IMODE(addresses.path.stat().st_mode) == 0o660


def test_the_greeting_names_every_address(addresses: Addresses) -> None:
    greeting = addresses.service.log.read_text()

    urls = (
        f"{addresses.service.url}, unix:{addresses.path}, "
        f"http://localhost:{addresses.port};"
    )
    assert f"The image catalogue API is at {urls}" in greeting


def test_a_client_reaches_every_address_of_the_greeting(addresses: Addresses) -> None:
    greeting = addresses.service.log.read_text()
    (urls,) = re.findall("^The image catalogue API is at (.*);", greeting, re.MULTILINE)

    for url in urls.split(", "):
        path = url.removeprefix("unix:")
        if path != url:
            connection: HTTPConnection = ByPath(socket.AF_UNIX, path)
        else:
            connection = HTTPConnection(url.removeprefix("http://"), timeout=30)
        assert ask(connection, addresses.service, "GET", "/v2/images")[0] == 200


def test_the_example_for_a_unix_socket_works_as_it_stands(addresses: Addresses) -> None:
    out = StringIO()
    Command(stdout=out).greet([f"unix:{addresses.path}"], None)
    (command,) = re.findall("^  (curl .*)$", out.getvalue(), re.MULTILINE)

    done = subprocess.run(["sh", "-c", f"{command} --silent"], capture_output=True)

    assert b'"versions"' in done.stdout


def refusal(folder: Path, *options: str) -> str:
    """What `serve` says that ends at once."""
    env = servers._own_environ() | {"IMAGECATALOG_DATA_DIR": str(folder / "data")}
    done = servers.manage(env, "serve", *options, timeout=60)
    assert done.returncode == 1
    assert not (folder / "data").exists()
    return done.stderr


def test_a_unix_socket_in_use_is_refused_and_stays(
    addresses: Addresses, tmp_path: Path
) -> None:
    said = refusal(tmp_path, "--bind", f"unix:{addresses.path}")

    assert f"Cannot listen on unix:{addresses.path}: Address already in use" in said
    assert addresses.path.is_socket()


def test_a_file_is_never_replaced_by_a_socket(tmp_path: Path) -> None:
    file = tmp_path / "precious"
    file.write_text("data")

    said = refusal(tmp_path, "--bind", f"unix:{file}")

    assert "Choose another path with --bind unix:PATH" in said
    assert file.read_text() == "data"


def test_a_path_that_is_too_long_is_refused(tmp_path: Path) -> None:
    assert "too long" in refusal(tmp_path, "--bind", f"unix:{tmp_path}/{'x' * 108}")


def test_the_socket_of_a_killed_service_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "api.sock"
    options = ["--bind", f"unix:{path}"]
    with servers.catalogue(tmp_path, workers=1, options=options) as service:
        service.kill()
    assert path.is_socket()

    with servers.catalogue(tmp_path, workers=1, options=options) as service:
        connection = ByPath(socket.AF_UNIX, str(path))
        assert ask(connection, service, "GET", "/v2/images")[0] == 200


# Inherited


@pytest.fixture
def listening() -> Iterator[socket.socket]:
    with socket.create_server(("127.0.0.1", 0), backlog=128) as listener:
        yield listener


def test_clients_wait_while_the_service_behind_an_inherited_socket_restarts(
    listening: socket.socket, tmp_path: Path
) -> None:
    number, port = listening.fileno(), listening.getsockname()[1]
    restarted = {"options": ["--bind", f"fd://{number}"], "sockets": [number]}
    answers: list[int] = []

    def use(_: int, stop: threading.Event) -> None:
        while not stop.is_set():
            connection = ByPath(socket.AF_INET, ("127.0.0.1", port))
            answers.append(ask(connection, service, "GET", "/v2/images")[0])

    with ExitStack() as stack:
        with servers.catalogue(tmp_path, workers=1, **restarted) as service:
            stack.enter_context(servers.in_threads(4, use))
            servers.wait_until(lambda: len(answers) > 20, "answers")
        before = len(answers)
        with servers.catalogue(tmp_path, workers=1, **restarted):
            servers.wait_until(lambda: len(answers) > before + 20, "answers, again")
            stack.close()

    assert set(answers) == {200}


def test_sockets_of_systemd_take_the_place_of_the_default_address(
    listening: socket.socket, tmp_path: Path
) -> None:
    number, port = listening.fileno(), listening.getsockname()[1]
    env = servers._own_environ() | {"IMAGECATALOG_DATA_DIR": str(tmp_path)}
    servers.make_database(tmp_path)
    log = tmp_path / "serve.log"
    serve = [sys.executable, "-c", ACTIVATE, str(number)]
    with servers.running(serve, env, log, sockets=[number], seconds=60):
        connection = ByPath(socket.AF_INET, ("127.0.0.1", port))
        with closing(connection):
            connection.request("GET", "/versions")
            assert connection.getresponse().status == 200

        assert f"API is at http://127.0.0.1:{port};" in log.read_text()


@pytest.mark.parametrize("number", ["77", "0"])
def test_a_descriptor_that_does_not_listen_is_refused(
    number: str, tmp_path: Path
) -> None:
    assert f"fd://{number}" in refusal(tmp_path, "--bind", f"fd://{number}")
