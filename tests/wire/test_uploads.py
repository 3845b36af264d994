"""Uploads that pause, against the real service: tuspy, broken connections, deaths."""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import signal
import socket
import struct
import threading
import time
from base64 import b64encode
from collections.abc import Callable
from io import BytesIO
from pathlib import Path

import pytest
from requests import Response
from tusclient.client import TusClient

from images.uploads.chunk_writing import CHUNK
from tests.servers import Service, wait_until
from tests.wire.api import Api, connect, head, reset
from tests.wire.conftest import FREQUENT_ROUNDS, Start
from tests.wire.evidence import Evidence
from tests.wire.test_memory import LIMIT, watched
from tests.wire.test_stopping import process_behind

MIB = 1 << 20
DATA = os.urandom(12 * MIB)
TUS = {"Tus-Resumable": "1.0.0"}


def tus_client(service: Service, image_id: str) -> TusClient:
    user = b64encode(":".join(service.auth).encode()).decode()
    url = f"{service.url}/v2/images/{image_id}/uploads"
    return TusClient(url, headers={"Authorization": f"Basic {user}"})


def create(api: Api, image_id: str, size: int = len(DATA)) -> str:
    """The path of a new upload, behind ``/v2/``."""
    headers = TUS | {"Upload-Length": str(size)}
    answer = api.post(f"images/{image_id}/uploads", headers=headers)
    assert answer.status_code == 201, answer.text
    return answer.headers["Location"].partition("/v2/")[2]


def offset(api: Api, upload: str) -> int:
    answer = api.head(upload, headers=TUS)
    assert answer.status_code == 200
    return int(answer.headers["Upload-Offset"])


def patch_head(service: Service, upload: str, offset: int, framing: str) -> bytes:
    return head(
        service,
        "PATCH",
        f"/v2/{upload}",
        "Tus-Resumable: 1.0.0",
        "Content-Type: application/offset+octet-stream",
        f"Upload-Offset: {offset}",
        framing,
    )


def patch(api: Api, upload: str, data: bytes, offset: int) -> Response:
    headers = TUS | {"Content-Type": "application/offset+octet-stream"}
    headers["Upload-Offset"] = str(offset)
    return api.patch(upload, data=data, headers=headers)


def resume(service: Service, api: Api, image_id: str, upload: str) -> None:
    """With tuspy, as another process that knows the URL would."""
    uploader = tus_client(service, image_id).uploader(
        file_stream=BytesIO(DATA), url=api.base + upload, chunk_size=5 * MIB
    )
    uploader.upload()
    assert api.image(image_id)["status"] == "active"
    assert api.data(image_id) == DATA


def test_tuspy_uploads_a_file(
    catalogue: Service, api: Api, evidence: Evidence, tmp_path: Path
) -> None:
    path = tmp_path / "disk.raw"
    path.write_bytes(DATA)
    image_id = api.new()

    with path.open("rb") as file:
        uploader = tus_client(catalogue, image_id).uploader(
            file_stream=file, chunk_size=5 * MIB, metadata={"filename": "disk.raw"}
        )
        uploader.upload()

    image = api.image(image_id)
    assert (image["status"], image["size"]) == ("active", len(DATA))
    assert image["os_hash_value"] == hashlib.sha512(DATA).hexdigest()
    assert api.data(image_id) == DATA
    assert len(evidence.files(image_id)) == 1 + ("DATABASE_URL" in catalogue.env)


@pytest.mark.parametrize("chunk_size", [5 * MIB, 99 * MIB])
def test_tuspy_sends_a_checksum_with_each_request(
    catalogue: Service, api: Api, chunk_size: int
) -> None:
    image_id = api.new()

    tus_client(catalogue, image_id).uploader(
        file_stream=BytesIO(DATA), chunk_size=chunk_size, upload_checksum=True
    ).upload()

    assert api.image(image_id)["status"] == "active"
    assert api.data(image_id) == DATA


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["FIN", "RST"])
@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_after_a_broken_connection_it_goes_on_at_the_byte_that_was_last(
    catalogue: Service,
    api: Api,
    framing: str,
    leave: Callable[[socket.socket], None],
) -> None:
    image_id = api.new()
    upload = create(api, image_id)
    sent, field = DATA[: 7 * MIB + 3], f"Content-Length: {len(DATA)}"
    wire = sent
    if framing == "chunked":
        wire = b"%x\r\n%s" % (len(DATA), sent)
        field = "Transfer-Encoding: chunked"
    sock = connect(catalogue)
    sock.sendall(patch_head(catalogue, upload, 0, field) + wire)
    if leave is reset:  # which also throws away what was not read yet
        wait_for_sockets(sock)
    leave(sock)

    wait_until(lambda: offset(api, upload) == len(sent), "all that was sent")
    resume(catalogue, api, image_id, upload)


def wait_for_one_object(evidence: Evidence, image_id: str) -> None:
    """Until no store holds anything of the image but its data (nanio has a note beside it)."""
    expected = 1 + ("DATABASE_URL" in evidence.service.env)
    wait_until(lambda: len(evidence.files(image_id)) == expected, "one object")


def wait_for_sender(service: Service, upload: str) -> None:
    """Until a request has the right to write. Another request would be in its way."""
    pk = upload.rpartition("/")[2].replace("-", "")
    query = (
        f"SELECT 1 FROM images_piece WHERE status = 'arriving' AND transfer_id = '{pk}'"
    )
    evidence = Evidence(service, service.data_dir)
    wait_until(lambda: evidence.rows(query), "the sender")


def wait_for_sockets(sock: socket.socket) -> None:
    """Until the other side's kernel has taken everything, and its process hopefully too."""

    def pending() -> int:
        return struct.unpack("i", fcntl.ioctl(sock, 0x5411, bytes(4)))[0]  # SIOCOUTQ

    wait_until(lambda: not pending(), "the acknowledgement")
    time.sleep(1)


def test_a_silent_client_loses_its_slot_but_not_its_bytes(
    any_catalogue: Service,
) -> None:
    with Api(any_catalogue) as api, connect(any_catalogue) as sock:
        image_id = api.new()
        upload = create(api, image_id)
        announced = f"Content-Length: {len(DATA)}"
        sock.sendall(patch_head(any_catalogue, upload, 0, announced) + DATA[:1000])
        wait_for_sender(any_catalogue, upload)
        assert patch(api, upload, DATA, 0).status_code == 423

        wait_until(lambda: offset(api, upload) == 1000, "the end of the silent one")
        assert sock.recv(MIB).startswith(b"HTTP/1.1 400 ")
        resume(any_catalogue, api, image_id, upload)


def test_of_requests_at_once_exactly_one_wins(catalogue: Service, api: Api) -> None:
    image_id = api.new()
    upload = create(api, image_id)
    answers: list[int] = []

    def race() -> None:
        with Api(catalogue) as own:
            answers.append(patch(own, upload, DATA, 0).status_code)

    threads = [threading.Thread(target=race) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert answers.count(204) == 1
    assert set(answers) <= {204, 409, 423}
    assert api.data(image_id) == DATA


def test_what_is_given_up_while_it_is_sent_leaves_nothing(
    catalogue: Service, api: Api, evidence: Evidence
) -> None:
    image_id = api.new()
    upload = create(api, image_id)
    patch(api, upload, DATA[:100], 0)
    with connect(catalogue) as sock:
        announced = f"Content-Length: {len(DATA) - 100}"
        sock.sendall(patch_head(catalogue, upload, 100, announced) + DATA[100:-1])
        wait_for_sender(catalogue, upload)
        assert api.delete(upload, headers=TUS).status_code == 204
        sock.sendall(DATA[-1:])
        assert sock.recv(MIB).startswith(b"HTTP/1.1 410 ")

    assert evidence.status(image_id) == "queued"
    evidence.wait_for_nothing_left(image_id)
    assert api.upload(image_id, DATA).status_code == 204


def test_a_refusal_of_head_has_no_body(any_catalogue: Service) -> None:
    with Api(any_catalogue) as api, connect(any_catalogue) as sock:
        path = f"/v2/images/{api.new()}/uploads/{'0' * 8}-0000-0000-0000-{'0' * 12}"
        sock.sendall(head(any_catalogue, "HEAD", path, "Tus-Resumable: 1.0.0"))
        sock.sendall(head(any_catalogue, "GET", "/versions", "Connection: close"))
        answers = b"".join(iter(lambda: sock.recv(MIB), b""))

    first, second = answers.split(b"\r\n\r\n", 1)
    assert first.startswith(b"HTTP/1.1 404 ")
    assert second.startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
def test_what_arrived_survives_the_death_of_all_processes(start: Start) -> None:
    # More than one chunk has to arrive: they are cut by time here, every 0.8 s.
    with start(IMAGECATALOG_LEASE_SECONDS="5") as evidence:
        service = evidence.service
        with Api(service) as api, connect(service) as sock:
            image_id = api.new()
            upload = create(api, image_id)
            announced = f"Content-Length: {len(DATA)}"
            sock.sendall(patch_head(service, upload, 0, announced))
            drip = iter(range(0, len(DATA) - MIB, 64 << 10))

            def some_arrived() -> bool:
                start = next(drip)
                sock.sendall(DATA[start : start + (64 << 10)])
                time.sleep(0.05)
                return offset(api, upload) > 0

            wait_until(some_arrived, "the first chunk")
            arrived = offset(api, upload)
            service.kill()

    with (
        start(IMAGECATALOG_LEASE_SECONDS="5") as evidence,
        Api(evidence.service) as api,
    ):
        assert offset(api, upload) >= arrived
        resume(evidence.service, api, image_id, upload)
        wait_for_one_object(evidence, image_id)


@pytest.mark.slow
def test_a_dead_web_process_holds_nobody_up(start: Start) -> None:
    with start() as evidence:
        service = evidence.service
        with Api(service) as api, connect(service) as sock:
            image_id = api.new()
            upload = create(api, image_id)
            announced = f"Content-Length: {len(DATA)}"
            sock.sendall(patch_head(service, upload, 0, announced) + DATA[:MIB])
            wait_for_sender(service, upload)
            process_behind(service, sock).kill()

            resume(service, api, image_id, upload)


@pytest.mark.slow
@pytest.mark.parametrize(
    "point",
    [
        pytest.param("import.due", marks=pytest.mark.long),
        "import.begun",
        pytest.param("import.stored", marks=pytest.mark.long),
    ],
)
def test_an_upload_that_is_whole_needs_no_client_to_become_an_image(
    start: Start, tmp_path: Path, point: str
) -> None:
    note = tmp_path / "die-at"
    env = {"IMAGECATALOG_LEASE_SECONDS": "5", "IMAGECATALOG_CRASH_FILE": str(note)}
    with start(**env) as evidence, Api(evidence.service) as api:
        image_id = api.new()
        upload = create(api, image_id)
        note.write_text(point)
        with contextlib.suppress(OSError):
            patch(api, upload, DATA, 0)
        assert not note.exists()

        assert offset(api, upload) == len(DATA)  # nothing is to be sent again
        evidence.wait_for(image_id, "active", 60)
        assert api.data(image_id) == DATA
        wait_for_one_object(evidence, image_id)


def test_bytes_that_arrived_before_sigterm_are_kept(start: Start) -> None:
    with start(IMAGECATALOG_GRACE_SECONDS="3") as evidence:
        service = evidence.service
        with Api(service) as api, connect(service) as sock:
            image_id = api.new()
            upload = create(api, image_id)
            announced = f"Content-Length: {len(DATA)}"
            sock.sendall(patch_head(service, upload, 0, announced) + DATA[:1000])
            wait_for_sender(service, upload)
            service.process.send_signal(signal.SIGTERM)
            assert sock.recv(MIB).startswith(b"HTTP/1.1 503 ")
        assert service.process.wait(60) == 0

    with start() as evidence, Api(evidence.service) as api:
        assert offset(api, upload) == 1000
        resume(evidence.service, api, image_id, upload)


def test_an_upload_that_is_forgotten_ends(start: Start) -> None:
    with start(IMAGECATALOG_UPLOAD_EXPIRY="3", **FREQUENT_ROUNDS) as evidence:
        with Api(evidence.service) as api:
            image_id = api.new()
            upload = create(api, image_id)
            assert patch(api, upload, DATA[:1000], 0).status_code == 204
            evidence.wait_for(image_id, "queued", 40)
            assert api.head(upload, headers=TUS).status_code == 410
        evidence.wait_for_nothing_left(image_id)


@pytest.mark.parametrize("framing", ["counted", "chunked"])
def test_a_connection_goes_on_after_a_full_chunk(
    catalogue: Service, api: Api, framing: str
) -> None:
    image_id = api.new()
    upload = create(api, image_id, CHUNK + 1)
    field = f"Content-Length: {CHUNK}"
    begin = end = b""
    if framing == "chunked":
        field, begin, end = (
            "Transfer-Encoding: chunked",
            b"%x\r\n" % CHUNK,
            b"\r\n0\r\n\r\n",
        )

    with connect(catalogue) as sock:
        sock.sendall(patch_head(catalogue, upload, 0, field) + begin)
        sock.sendall(bytes(CHUNK))
        sock.sendall(end)
        assert sock.recv(MIB).startswith(b"HTTP/1.1 204 ")
        sock.sendall(head(catalogue, "GET", f"/v2/images/{image_id}"))
        assert sock.recv(MIB).startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
def test_a_large_upload_does_not_fill_the_memory(catalogue: Service) -> None:
    with Api(catalogue) as api:
        for _ in range(20):  # every process has done this once
            api.get("images")
        upload_zeros(api, catalogue, 64 * MIB)  # the only process with uploads, too
        with watched(catalogue) as growth:
            upload_zeros(api, catalogue, 512 * MIB)
    assert max(growth.values()) < LIMIT, growth


def upload_zeros(api: Api, service: Service, size: int) -> None:
    image_id = api.new()
    upload = create(api, image_id, size)
    with connect(service) as sock:
        sock.sendall(patch_head(service, upload, 0, f"Content-Length: {size}"))
        for _ in range(size // MIB):
            sock.sendall(bytes(MIB))
        sock.settimeout(300)
        assert sock.recv(MIB).startswith(b"HTTP/1.1 204 ")
    assert api.image(image_id)["size"] == size
    api.delete(f"images/{image_id}")
