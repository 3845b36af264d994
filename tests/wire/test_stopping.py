"""The end of the service, wanted or not, while uploads run."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import threading
from pathlib import Path

import psutil
import pytest

from tests import servers
from tests.servers import Service, wait_until
from tests.wire.api import Api, connect, upload_head
from tests.wire.bare_gunicorn import gunicorn
from tests.wire.conftest import Start
from tests.wire.evidence import Evidence

MIB = 1 << 20
DATA = os.urandom(12 * MIB)  # more than one part of an upload to S3


def begin(service: Service, evidence: Evidence) -> tuple[str, socket.socket]:
    """An upload of which all but one byte has been sent, and some has been stored."""
    with Api(service) as api:
        image_id = api.new()
    sock = connect(service)
    announced = f"Content-Length: {len(DATA) + 1}"
    sock.sendall(upload_head(service, image_id, announced) + DATA)
    wait_until(lambda: evidence.files(image_id), "the first bytes in the store")
    return image_id, sock


def answer(sock: socket.socket) -> bytes:
    """Return all bytes until the service closes the connection."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(MIB):
            received += chunk
    return received


def process_behind(service: Service, sock: socket.socket) -> psutil.Process:
    """The web process that has the other end of the connection."""
    children = psutil.Process(service.process.pid).children(recursive=True)
    for process in children:
        for connection in process.net_connections("tcp4"):
            if connection.raddr == sock.getsockname():
                return process
    raise AssertionError(f"none of {children} has the connection")


def test_an_upload_that_ends_in_time_outlives_sigterm(start: Start) -> None:
    with start(IMAGECATALOG_GRACE_SECONDS="20") as evidence:
        service = evidence.service
        image_id, sock = begin(service, evidence)
        web = process_behind(service, sock)
        with sock:
            service.process.send_signal(signal.SIGTERM)
            wait_until(lambda: web.parent().children() == [web], "the idle one's end")
            sock.sendall(b"!")
            assert answer(sock).startswith(b"HTTP/1.1 204 ")
        assert service.process.wait(60) == 0

    assert evidence.status(image_id) == "active"


@pytest.mark.slow
def test_a_connection_that_was_accepted_at_the_end_is_answered(tmp_path: Path) -> None:
    """Clients that are refused can go elsewhere; those whose connections are reset cannot know."""
    answers: list[bytes] = []
    resets: list[OSError] = []

    def use(_: int, stop: threading.Event) -> None:
        while True:
            try:
                sock = connect(service)
            except ConnectionRefusedError:
                return
            with sock:
                try:
                    sock.sendall(b"GET /versions HTTP/1.1\r\nHost: x\r\n\r\n")
                    answers.append(sock.recv(12))
                except ConnectionResetError as error:
                    resets.append(error)

    with servers.catalogue(tmp_path) as service, servers.in_threads(8, use):
        wait_until(lambda: len(answers) > 100, "answers")
        service.process.terminate()

    assert set(answers) == {b"HTTP/1.1 200"}
    # One may still arrive between the last look at the queue and its end.
    assert len(resets) <= 1


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_web_process_that_has_just_been_started_does_not_miss_the_stop(
    tmp_path: Path, number: signal.Signals
) -> None:
    config = tmp_path / "config.py"
    config.write_text(
        "import time\n"
        "from imagecatalog.server import *\n"
        "def post_fork(server, worker): time.sleep(1)\n"
    )
    start = gunicorn(
        tmp_path, config=config, workers=2, IMAGECATALOG_GRACE_SECONDS="60"
    )
    with start as server:
        server.process.send_signal(number)

        assert server.process.wait(60) == 0


def test_an_upload_that_takes_longer_leaves_nothing(start: Start) -> None:
    with start(IMAGECATALOG_GRACE_SECONDS="3") as evidence:
        service = evidence.service
        image_id, sock = begin(service, evidence)
        with sock:
            service.process.send_signal(signal.SIGTERM)
            assert answer(sock).startswith(b"HTTP/1.1 503 ")
        assert service.process.wait(60) == 0

    assert evidence.status(image_id) == "queued"
    assert evidence.files(image_id) == []


@pytest.mark.slow
def test_after_the_death_of_its_process_an_upload_can_be_repeated(
    start: Start,
) -> None:
    with start(IMAGECATALOG_LEASE_SECONDS="5") as evidence:
        service = evidence.service
        image_id, sock = begin(service, evidence)
        with sock:
            process_behind(service, sock).kill()
            assert answer(sock) == b""
        assert evidence.status(image_id) == "saving"

        evidence.wait_for(image_id, "queued", 30)
        evidence.wait_for_nothing_left(image_id)
        with Api(service) as api:
            assert api.upload(image_id, DATA).status_code == 204
            assert api.data(image_id) == DATA
