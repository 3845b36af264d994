"""Bodies both ways through a real gunicorn, set up as in production, with clients of all kinds."""

from __future__ import annotations

import contextlib
import hashlib
import http.client
import itertools
import os
import signal
import socket
import struct
import threading
import time
from collections.abc import Iterator

import pytest
import requests

from tests import servers
from tests.wire.bare_gunicorn import TINY_SERVICE, Server, gunicorn

MIB = 1 << 20
DATA = os.urandom(3 * MIB + 12345)
DIGEST = hashlib.sha256(DATA).hexdigest()
GRACE = 8
TIMEOUT = 3


@pytest.fixture(scope="module")
def start(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    folder = tmp_path_factory.mktemp("gunicorn")
    settings = {
        "DJANGO_SETTINGS_MODULE": TINY_SERVICE,
        "IMAGECATALOG_BODY_TIMEOUT": str(TIMEOUT),
        "IMAGECATALOG_GRACE_SECONDS": str(GRACE),
    }
    with contextlib.ExitStack() as stack:

        def start() -> Server:
            server = stack.enter_context(
                gunicorn(folder, stop=signal.SIGKILL, **settings)
            )
            servers.wait_until(lambda: answers(server), "the tiny service")
            return server

        yield start


def answers(server: Server) -> bool:
    try:
        return requests.get(f"{server.url}/state", timeout=60).ok
    except requests.ConnectionError:
        return False


@pytest.fixture(scope="module")
def server(start: object) -> Server:
    return start()


def parts(data: bytes, size: int) -> Iterator[bytes]:
    for at in range(0, len(data), size):
        yield data[at : at + size]


def head(path: str, *fields: str, method: str = "PUT") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", *fields, "", ""]
    return "\r\n".join(lines).encode()


CHUNKED = head("/v2/images/count/file", "Transfer-Encoding: chunked")
COUNTED = head("/v2/images/count/file", "Content-Length: 10")


def everything(sock: socket.socket) -> str:
    """Until the server closes."""
    received = b""
    with contextlib.suppress(ConnectionResetError):
        while part := sock.recv(1 << 16):
            received += part
    return received.decode()


# Whole bodies


@pytest.mark.parametrize("size", [1000, 65536, 2 * MIB])
def test_a_chunked_body_arrives_whole(server: Server, size: int) -> None:
    answer = requests.put(
        f"{server.url}/v2/images/count/file", data=parts(DATA, size)
    ).json()

    assert (answer["size"], answer["sha256"]) == (len(DATA), DIGEST)
    assert answer["largest"] <= MIB


def test_a_body_of_stated_length_arrives_whole(server: Server) -> None:
    answer = requests.put(f"{server.url}/v2/images/count/file", data=DATA).json()

    assert (answer["size"], answer["sha256"]) == (len(DATA), DIGEST)
    assert answer["largest"] <= MIB


@pytest.mark.parametrize("body", [b"", iter(())])
def test_an_empty_body_is_no_error(server: Server, body: object) -> None:
    assert (
        requests.put(f"{server.url}/v2/images/count/file", data=body).json()["size"]
        == 0
    )


@pytest.mark.parametrize("body", [DATA, iter([DATA])], ids=["counted", "chunked"])
def test_the_fast_readers_fit_the_installed_gunicorn(
    server: Server, body: object
) -> None:
    answer = requests.put(f"{server.url}/v2/images/count/file", data=body).json()

    assert answer["reader"] == "_from_gunicorn"


def test_a_connection_goes_on_after_bodies_of_both_kinds(server: Server) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    connection.connect()
    sock = connection.sock
    for body in (DATA, parts(DATA, 70000), b"", parts(b"", 1), b"end"):
        connection.request("PUT", "/v2/images/count/file", body, encode_chunked=True)
        answer = connection.getresponse()
        assert (answer.status, bool(answer.read())) == (200, True)
        assert connection.sock is sock
    connection.close()


@pytest.mark.parametrize(
    "first",
    [COUNTED + b"0123456789", CHUNKED + b"a;x=y\r\n0123456789\r\n0\r\nA: b\r\n\r\n"],
)
def test_a_request_sent_right_behind_a_body_is_answered(
    server: Server, first: bytes
) -> None:
    with server.connect() as sock:
        sock.sendall(
            first
            + head("/v2/images/count/file", "Connection: close", "Content-Length: 3")
            + b"abc"
        )
        answers = everything(sock)

    assert answers.count("200 OK") == 2
    assert '"size": 10' in answers
    assert '"size": 3' in answers


def test_a_slow_body_is_handed_on_while_it_comes(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(
            head(
                "/v2/images/count/file",
                "Transfer-Encoding: chunked",
                "Connection: close",
            )
        )
        for _ in range(4):
            sock.sendall(b"2\r\nab\r\n")
            time.sleep(0.7)
        sock.sendall(b"0\r\n\r\n")
        answer = everything(sock)

    assert '"size": 8' in answer
    assert '"blocks": 1' not in answer


# Bodies that go wrong


@pytest.mark.parametrize("sent", [COUNTED + b"012", CHUNKED + b"a\r\n012", CHUNKED])
def test_a_body_cut_off_is_incomplete(server: Server, sent: bytes) -> None:
    with server.connect() as sock:
        sock.sendall(sent)
        sock.shutdown(socket.SHUT_WR)
        answer = everything(sock)

    assert (
        "body-incomplete: The connection was closed before all data had arrived"
        in answer
    )


@pytest.mark.parametrize("sent", [COUNTED + b"012", CHUNKED + b"a\r\n012", CHUNKED])
def test_a_stalled_body_is_given_up_in_time(server: Server, sent: bytes) -> None:
    began = time.monotonic()
    with server.connect() as sock:
        sock.sendall(sent)
        answer = everything(sock)

    assert (
        "body-incomplete: The transfer failed, because no more data arrived" in answer
    )
    assert time.monotonic() - began < 5 * TIMEOUT


@pytest.mark.parametrize(
    "wrong", [b"5 \r\nhello", b"0x5\r\n", b"3\r\nfour\r\n", b"5\nhello"]
)
def test_a_malformed_body_is_incomplete_and_ends_the_connection(
    server: Server, wrong: bytes
) -> None:
    with server.connect() as sock:
        sock.sendall(CHUNKED + wrong + b"\r\n0\r\n\r\n" + head("/state", method="GET"))
        answer = everything(sock)

    assert "body-incomplete: The data was not sent as a valid chunked body" in answer
    assert answer.count("HTTP/1.1") == 1


def test_a_client_that_resets_the_connection_harms_nobody(server: Server) -> None:
    sock = server.connect()
    sock.sendall(CHUNKED + b"ffff\r\n012")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()

    assert answers(server)


@pytest.mark.parametrize("after", [0, 2])
@pytest.mark.parametrize("kind", ["chunked", "counted"])
def test_an_ordinary_client_sees_why_its_upload_was_refused(
    server: Server, after: int, kind: str
) -> None:
    large = bytes(60 * MIB)
    body = parts(large, 65536) if kind == "chunked" else large

    answer = requests.put(
        f"{server.url}/v2/images/refuse/file?after={after}", data=body
    )

    assert (answer.status_code, answer.text) == (413, "too much")


@pytest.mark.slow
def test_a_client_that_never_stops_sending_gets_its_refusal_all_the_same(
    server: Server,
) -> None:
    sock = server.connect()
    sock.sendall(head("/v2/images/refuse/file?after=1", "Transfer-Encoding: chunked"))

    def send() -> None:
        with contextlib.suppress(OSError):
            while True:
                sock.sendall(b"400\r\n" + bytes(1024) + b"\r\n")

    sender = threading.Thread(target=send)
    sender.start()
    answer = sock.recv(MIB)
    sock.close()
    sender.join()

    assert answer.startswith(b"HTTP/1.1 413 ")


# Bodies that the client announces first


def expecting(path: str) -> bytes:
    return head(path, "Expect: 100-continue", "Content-Length: 5")


def test_a_body_is_asked_for_when_it_is_read(server: Server) -> None:
    with server.connect() as sock:
        sock.sendall(expecting("/v2/images/count/file"))
        assert sock.recv(MIB) == b"HTTP/1.1 100 Continue\r\n\r\n"
        sock.sendall(b"hello" + head("/state", "Connection: close", method="GET"))
        answers = everything(sock)

    assert '"size": 5' in answers
    assert answers.count("200 OK") == 2


def test_a_refused_body_is_not_asked_for(server: Server) -> None:
    began = time.monotonic()
    with server.connect() as sock:
        sock.sendall(expecting("/v2/images/refuse/file"))
        answer = sock.recv(MIB).decode()

    assert answer.startswith("HTTP/1.1 413 ")
    assert "Connection: close" in answer
    assert time.monotonic() - began < TIMEOUT


def test_a_client_that_does_not_wait_for_permission_sees_its_refusal(
    server: Server,
) -> None:
    with server.connect() as sock:
        sock.sendall(expecting("/v2/images/refuse/file") + b"hello")
        sock.sendall(head("/state", "Connection: close", method="GET"))
        answers = everything(sock)

    assert answers.startswith("HTTP/1.1 413 ")
    assert answers.count("200 OK") == 1


# Downloads


def test_a_download_says_what_it_is(server: Server) -> None:
    answer = requests.get(f"{server.url}/data?mib=5")

    assert (answer.status_code, answer.content) == (200, bytes(5 * MIB))
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert answer.headers["Content-MD5"] == "0" * 32


def test_a_part_is_a_part(server: Server) -> None:
    asked = {"Range": "bytes=1048570-3000000"}
    answer = requests.get(f"{server.url}/data?mib=5", headers=asked)

    assert (answer.status_code, len(answer.content)) == (206, 3000001 - 1048570)
    assert answer.headers["Content-Range"] == f"bytes 1048570-3000000/{5 * MIB}"


def test_data_that_ends_early_breaks_the_connection(server: Server) -> None:
    with pytest.raises(
        requests.exceptions.ChunkedEncodingError, match="IncompleteRead"
    ):
        requests.get(f"{server.url}/data?mib=5&missing=1")


def test_the_source_is_closed_when_the_reader_goes_away(server: Server) -> None:
    before = requests.get(f"{server.url}/state").json()["closed"]
    with server.connect() as sock:
        sock.sendall(head("/data?mib=50", method="GET"))
        sock.recv(1000)

    def one_more() -> bool:
        after = requests.get(f"{server.url}/state").json()["closed"]
        return len(after) == len(before) + 1 and after[-1] > 0

    servers.wait_until(one_more, "closing")


def test_no_connection_waits_for_ever(server: Server) -> None:
    requests.put(f"{server.url}/v2/images/count/file", data=DATA)

    assert requests.get(f"{server.url}/state").json()["silence"] == [60, 60]


def test_a_token_may_be_large(server: Server) -> None:
    token = {"X-Auth-Token": "x" * 60000}

    assert requests.get(f"{server.url}/state", headers=token).status_code == 200


# The end


@contextlib.contextmanager
def upload(server: Server, seconds: float) -> Iterator[socket.socket]:
    """An upload that goes on for so long, on its own thread."""
    sock = server.connect()
    sock.sendall(CHUNKED)

    def send() -> None:
        end = time.monotonic() + seconds
        with contextlib.suppress(OSError):
            while time.monotonic() < end:
                sock.sendall(b"5\r\nhello\r\n")
                time.sleep(0.05)
            sock.sendall(b"0\r\n\r\n")

    sender = threading.Thread(target=send)
    sender.start()
    time.sleep(0.2)
    try:
        yield sock
    finally:
        sock.close()
        sender.join()


def test_an_upload_that_ends_in_time_outlives_sigterm(start: object) -> None:
    server = start()
    with upload(server, 1.5) as sock:
        server.process.terminate()
        answer = everything(sock)

    assert " 200 OK" in answer
    assert server.process.wait(60) == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_an_upload_that_takes_longer_fails_in_good_order(
    start: object, number: int
) -> None:
    server = start()
    with upload(server, 4 * GRACE) as sock:
        began = time.monotonic()
        server.process.send_signal(number)
        answer = everything(sock)

    assert "server-stopping: The service is stopping" in answer
    assert server.process.wait(60) == 0
    assert time.monotonic() - began < 2 * GRACE
    assert "Traceback" not in server.log.read_text()


def test_an_ordinary_client_in_full_swing_is_told_that_the_service_stops(
    start: object,
) -> None:
    server = start()
    began = time.monotonic()

    def blocks() -> Iterator[bytes]:
        for number in itertools.count():
            if number == 100:
                server.process.terminate()
            yield bytes(1 << 16)

    answer = requests.put(f"{server.url}/v2/images/count/file", data=blocks())

    assert answer.text.startswith("server-stopping")
    assert time.monotonic() - began < 5 * GRACE  # else the kernel has left it waiting
    assert server.process.wait(60) == 0
