"""The object store: nothing left behind, constant memory, never waiting for ever."""

from __future__ import annotations

import http.server
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psutil
import pytest

from images import errors, logs
from images.stores import credentials, faults, objects
from images.stores.objects import ObjectStore
from images.stores.unfinished import _client as botocore_client
from tests import servers

MIB = 1 << 20
KEY = "ab/image.1"

Handler = type[http.server.BaseHTTPRequestHandler]


@pytest.fixture
def store(s3: servers.S3, request: pytest.FixtureRequest) -> ObjectStore:
    prefix = request.node.name
    return ObjectStore("s", f"s3://{s3.bucket}/{prefix}", {"endpoint": s3.endpoint})


class Server(http.server.ThreadingHTTPServer):
    """A server that says nothing of clients who leave before their answer."""

    def handle_error(self, *args: Any) -> None:
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(*args)


@pytest.fixture
def endpoint_of(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., str]]:
    """``endpoint_of(handler)`` starts a server that behaves as badly as the handler says."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "x")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    running: list[Server] = []

    def start(handler: Handler) -> str:
        server = Server(("127.0.0.1", 0), handler)
        running.append(server)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        return f"http://127.0.0.1:{server.server_port}"

    yield start
    for server in running:
        server.shutdown()
        server.server_close()


@pytest.fixture(autouse=True)
def no_botocore_client() -> Iterator[None]:
    """The client has the credentials of the environment in which it was made."""
    botocore_client.cache_clear()
    yield
    botocore_client.cache_clear()


def at(endpoint: str) -> ObjectStore:
    return ObjectStore("s", "s3://bucket/x", {"endpoint": endpoint})


def unfinished(s3: servers.S3) -> list[str]:
    """Parts of multipart uploads on the server's disk."""
    folder = s3.folder.parent / ".nanio" / "multipart"
    return [str(path) for path in folder.rglob("*.bin")]


def received(s3: servers.S3) -> int:
    """How many bytes of unfinished uploads the server has."""
    paths = [Path(path) for path in unfinished(s3)]
    return sum(path.stat().st_size for path in paths if path.exists())


def test_an_upload_that_breaks_off_leaves_no_parts_on_the_server(
    s3: servers.S3, store: ObjectStore
) -> None:
    def blocks() -> Iterator[bytes]:
        for _ in range(30):
            yield b"x" * MIB
        # A part that is still on its way when the upload is aborted may outlive it on the
        # server; that one is for the bucket's lifecycle rule.
        servers.wait_until(lambda: received(s3) == 24 * MIB, "three parts")
        time.sleep(0.5)
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put(KEY, blocks())

    assert unfinished(s3) == []
    assert list(store.keys()) == []


WRITER = """
import os, sys
from images.stores.objects import ObjectStore

def blocks():
    while True:
        yield b"x" * (1 << 20)

ObjectStore("s", sys.argv[1], {"endpoint": sys.argv[2]}).put(sys.argv[3], blocks())
"""


def test_what_a_dead_writer_left_unfinished_is_removed_with_its_key(
    s3: servers.S3, store: ObjectStore
) -> None:
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, store._url, s3.endpoint, KEY],
        cwd=servers.ROOT,
        env=os.environ | {"DJANGO_SETTINGS_MODULE": "imagecatalog.settings"},
    )
    servers.wait_until(lambda: received(s3) > 0, "a part on the server")
    writer.kill()
    writer.wait()

    store.delete(KEY, abandoned=True)

    assert unfinished(s3) == []


def test_a_server_that_cannot_list_unfinished_uploads_does_not_stop_a_delete(
    s3: servers.S3,
    store: ObjectStore,
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
) -> None:
    store.put(KEY, [b"x"])
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong for botocore, which asks late")

    store.delete(KEY, abandoned=True)

    assert list(store.keys()) == []
    assert "left to the bucket" in caplog.text


def test_what_the_last_requests_of_a_dead_writer_make_meanwhile_is_removed(
    endpoint_of: Callable[..., str],
) -> None:
    late, there = {"object", "upload"}, set[str]()

    class CarriesOutLate(Quiet):
        def do_GET(self) -> None:
            self.answer(200, listing(there & {"upload"}))
            there.update(late)
            late.clear()

        def do_POST(self) -> None:
            there.discard("object")
            self.delete()

        def do_DELETE(self) -> None:
            there.discard("upload")
            self.answer(204)

    at(endpoint_of(CarriesOutLate)).delete(KEY, abandoned=True)

    assert late | there == set()


def test_an_upload_that_could_not_be_aborted_is_aborted_with_its_object(
    endpoint_of: Callable[..., str],
) -> None:
    there: set[str] = set()
    refusals = [403]

    class FailsForAMoment(Quiet):
        def do_POST(self) -> None:
            if self.path.endswith("?delete"):
                self.delete()
                return
            there.add("upload")
            self.answer(200, b"<R><UploadId>upload</UploadId></R>")

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")

        def do_GET(self) -> None:
            self.answer(200, listing(there))

        def do_DELETE(self) -> None:
            if refusals:
                self.answer(refusals.pop())
                return
            there.clear()
            self.answer(204)

    with pytest.raises(errors.StoreError):
        at(endpoint_of(FailsForAMoment)).put(KEY, [b"x" * MIB])

    assert (there, refusals) == (set(), [])


def listing(uploads: set[str]) -> bytes:
    """Multipart uploads of KEY, as S3 lists them."""
    each = [
        f"<Upload><Key>x/{KEY}</Key><UploadId>{it}</UploadId></Upload>"
        for it in uploads
    ]
    name = "ListMultipartUploadsResult"
    return f"<{name}>{''.join(each)}</{name}>".encode()


def test_data_can_be_copied_from_one_bucket_to_another(
    s3: servers.S3, store: ObjectStore
) -> None:
    other = ObjectStore("o", f"s3://{s3.bucket}/copy", {"endpoint": s3.endpoint})
    store.put(KEY, (bytes([n]) * MIB for n in range(20)))

    other.put(KEY, store.open(KEY))

    assert b"".join(other.open(KEY)) == b"".join(store.open(KEY))


def test_the_producer_runs_in_the_callers_thread(store: ObjectStore) -> None:
    seen: list[threading.Thread] = []

    def blocks() -> Iterator[bytes]:
        seen.append(threading.current_thread())
        yield b"x"

    store.put(KEY, blocks())

    assert seen == [threading.current_thread()]
    assert not [t for t in threading.enumerate() if t.name == "handover"]


def test_memory_does_not_grow_with_the_object(store: ObjectStore) -> None:
    store.put("ab/warm.1", (os.urandom(MIB) for _ in range(80)))
    process, most = psutil.Process(), 0
    before = process.memory_info().rss

    def blocks() -> Iterator[bytes]:
        nonlocal most
        for _ in range(300):
            most = max(most, process.memory_info().rss - before)
            yield os.urandom(MIB)

    store.put(KEY, blocks())
    for _ in store.open(KEY):
        most = max(most, process.memory_info().rss - before)

    assert most < 100 * MIB


def test_a_store_that_nobody_runs_is_told_soon(endpoint_of: Callable[..., str]) -> None:
    store = at(f"http://127.0.0.1:{servers.free_port()}")
    started = time.monotonic()

    with pytest.raises(errors.StoreError) as caught:
        store.put(KEY, [b"x"])

    assert type(caught.value) is errors.StoreError
    assert "127.0.0.1" not in str(caught.value)
    assert time.monotonic() - started < 30


@pytest.mark.slow
def test_a_store_that_keeps_silent_is_given_up(
    endpoint_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(objects, "SILENCE", 2)
    with closing(socket.create_server(("127.0.0.1", 0))) as silent:
        store = at(f"http://127.0.0.1:{silent.getsockname()[1]}")
        started = time.monotonic()
        for use in (store.size, store.open, store.delete, lambda k: store.put(k, [])):
            with pytest.raises(errors.StoreError):
                use(KEY)

    assert time.monotonic() - started < 4 * 10


def test_a_download_that_stalls_is_an_error(
    endpoint_of: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Stalls(Quiet):
        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("Content-Length", str(3 * MIB))
            self.send_header("Last-Modified", "Mon, 23 Nov 2026 00:00:00 GMT")
            self.send_header("ETag", '"e"')
            self.end_headers()
            self.wfile.write(b"x" * (MIB + 1))
            time.sleep(6)

    monkeypatch.setattr(objects, "SILENCE", 1)
    blocks = at(endpoint_of(Stalls)).open(KEY)

    with pytest.raises(errors.StoreError):
        list(blocks)


def test_a_slow_reader_is_not_cut_off(
    store: ObjectStore, s3: servers.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.put(KEY, (b"x" * MIB for _ in range(64)))
    monkeypatch.setattr(objects, "SILENCE", 3)
    slow = ObjectStore("s", store.url("x")[:-2], {"endpoint": s3.endpoint})

    blocks = slow.open(KEY)
    first = len(next(blocks))
    time.sleep(6)

    assert first + sum(map(len, blocks)) == 64 * MIB


def test_a_slow_producer_is_not_cut_off(
    store: ObjectStore, s3: servers.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    def blocks() -> Iterator[bytes]:
        yield b"x" * 20 * MIB
        time.sleep(6)
        yield b"y"

    monkeypatch.setattr(objects, "SILENCE", 3)
    patient = ObjectStore("s", store.url("x")[:-2], {"endpoint": s3.endpoint})
    patient.put(KEY, blocks())

    assert store.size(KEY) == 20 * MIB + 1


def test_a_store_that_fails_in_the_middle_stops_the_producer(
    endpoint_of: Callable[..., str],
) -> None:
    pulled = 0

    class TakesNoParts(Quiet):
        def do_POST(self) -> None:
            self.answer(200, b"<R><UploadId>u</UploadId></R>")

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            self.answer(403, b"<Error><Code>AccessDenied</Code></Error>")

    def blocks() -> Iterator[bytes]:
        nonlocal pulled
        for pulled in range(1000):  # noqa: B007
            yield b"x" * MIB

    with pytest.raises(errors.StoreError):
        at(endpoint_of(TakesNoParts)).put(KEY, blocks())

    assert pulled < 200


@pytest.mark.parametrize("code", ["QuotaExceeded", "XMinioStorageFull"])
def test_a_store_without_room_is_full(
    endpoint_of: Callable[..., str], code: str
) -> None:
    class Full(Quiet):
        def do_POST(self) -> None:
            self.answer(403, f"<Error><Code>{code}</Code></Error>".encode())

    with pytest.raises(errors.StoreFull):
        at(endpoint_of(Full)).put(KEY, [b"x"])


def test_a_bucket_that_is_not_there_is_no_missing_image(s3: servers.S3) -> None:
    store = ObjectStore("s", "s3://no-such-bucket/x", {"endpoint": s3.endpoint})

    with pytest.raises(errors.StoreError) as caught:
        store.put(KEY, [b"x"])

    assert type(caught.value) is errors.StoreError


@pytest.mark.parametrize(
    ("bucket", "credential", "sentence"),
    [
        ("no-such-bucket", {}, "The bucket does not exist. Create the bucket"),
        (
            "",
            {"AWS_ACCESS_KEY_ID": "nobody"},
            "The object store does not know the access key. Correct AWS_ACCESS_KEY_ID.",
        ),
        (
            "",
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            "The secret of the access key is wrong. Correct AWS_SECRET_ACCESS_KEY",
        ),
        (
            "",
            {"AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": ""},
            "There are no credentials. Set the environment variables of the cloud",
        ),
    ],
)
def test_the_log_tells_apart_why_an_upload_fails_and_the_client_is_not_told(
    bucket: str,
    credential: dict[str, str],
    sentence: str,
    s3: servers.S3,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name, value in credential.items():
        monkeypatch.setenv(name, value)
    url = f"s3://{bucket or s3.bucket}/x"

    with pytest.raises(errors.StoreError) as caught:
        ObjectStore("s", url, {"endpoint": s3.endpoint}).put(KEY, [b"x"])

    logged = logs.reason(caught.value)
    assert logged.startswith(sentence)
    assert str(caught.value.__cause__) in logged
    assert sentence not in str(caught.value)
    assert "169.254" not in logged


def test_data_in_a_bucket_that_is_not_there_is_not_said_to_be_gone(
    s3: servers.S3,
) -> None:
    store = ObjectStore("s", "s3://no-such-bucket/x", {"endpoint": s3.endpoint})

    for use in (store.open, store.delete):
        with pytest.raises(errors.StoreError) as caught:
            use(KEY)
        assert type(caught.value) is errors.StoreError


def test_unfinished_uploads_are_not_looked_for_without_credentials(
    s3: servers.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in s3.env:
        monkeypatch.delenv(name)
    store = ObjectStore("s", f"s3://{s3.bucket}/x", {"endpoint": s3.endpoint})

    with pytest.raises(errors.StoreError) as caught:
        next(store.unfinished_uploads())

    assert "no credentials are set" in str(caught.value.__cause__)


@pytest.mark.parametrize("name", ["Endpoint", "aws_endpoint_url"])
def test_an_option_can_have_every_name_that_the_client_knows(
    name: str, s3: servers.S3
) -> None:
    store = ObjectStore("s", f"s3://{s3.bucket}/{name}", {name: s3.endpoint})

    store.put(KEY, [b"x"])

    assert b"".join(store.open(KEY)) == b"x"
    assert list(store.unfinished_uploads()) == []


def test_credentials_are_missing_however_the_endpoint_is_written(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for variable in credentials.VARIABLES:
        monkeypatch.delenv(variable, raising=False)
    store = ObjectStore("s", "s3://bucket/x", {"ENDPOINT": "http://127.0.0.1:9"})

    with pytest.raises(errors.StoreError) as caught:
        store.put(KEY, [b"x"])

    assert faults.NO_CREDENTIALS in str(caught.value.__cause__)


def test_wrong_credentials_are_told_without_showing_them(
    s3: servers.S3, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "hunter2-hunter2")
    store = ObjectStore("s", f"s3://{s3.bucket}/x", {"endpoint": s3.endpoint})

    with pytest.raises(errors.StoreError) as caught:
        store.put(KEY, [b"x"])

    assert "hunter2" not in f"{caught.value} {caught.value.__cause__}"


class Quiet(http.server.BaseHTTPRequestHandler):
    """Has nothing, takes everything."""

    def log_message(self, *args: object) -> None: ...

    def answer(self, status: int, body: bytes = b"") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def delete(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        key = f"<Deleted><Key>x/{KEY}</Key></Deleted>"
        self.answer(200, f"<DeleteResult>{key}</DeleteResult>".encode())

    def do_HEAD(self) -> None:
        self.answer(404)

    def do_DELETE(self) -> None:
        self.answer(204)
