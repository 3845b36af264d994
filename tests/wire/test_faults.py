"""What the service stands on gives way, or is shared: full, away, silent, or somebody else's too."""

from __future__ import annotations

import os
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

import psutil
import pytest
import requests

from tests import servers
from tests.wire.api import Api, connect, upload_head
from tests.wire.conftest import Start
from tests.wire.evidence import Evidence

MIB = 1 << 20
DATA = os.urandom(12 * MIB)
LEASE = {"IMAGECATALOG_LEASE_SECONDS": "5"}


def reply(sock: socket.socket) -> bytes:
    """The first line of the answer."""
    return sock.makefile("rb").readline()


# The store is full


def test_a_full_store_says_so_and_takes_what_fits_afterwards(
    small_disk: Path, tmp_path: Path
) -> None:
    env = {"IMAGECATALOG_STORES": f"small=file://{small_disk}"}
    with servers.catalogue(tmp_path, env) as service, Api(service) as api:
        evidence = Evidence(service, small_disk)
        image_id = api.new()

        refused = api.upload(image_id, DATA)

        assert (refused.status_code, "full" in refused.text) == (413, True)
        assert evidence.status(image_id) == "queued"
        assert evidence.files(image_id) == []
        assert api.upload(image_id, DATA[: 4 * MIB]).status_code == 204
        assert api.data(image_id) == DATA[: 4 * MIB]


@pytest.mark.sqlite
def test_a_full_disk_of_the_database_refuses_changes_until_it_has_space(
    small_disk: Path, tmp_path: Path
) -> None:
    env = {
        "IMAGECATALOG_DATA_DIR": str(small_disk),
        "IMAGECATALOG_STORES": f"local=file://{tmp_path}/images",
    }
    with (
        servers.catalogue(tmp_path, env, workers=1) as service,
        Api(service) as api,
    ):
        image_id = api.new()
        filler = small_disk / "filler"
        with filler.open("wb", buffering=0) as file, suppress(OSError):
            while True:
                file.write(bytes(1 << 12))
        answers = [api.post("images", json={"name": "n" * 200})]
        while answers[-1].status_code == 201 and len(answers) < 100:
            answers.append(api.post("images", json={"name": "n" * 200}))

        refused = answers[-1]
        assert (refused.status_code, "no space left" in refused.text) == (503, True)
        assert int(refused.headers["Retry-After"]) > 0
        listed = api.get("images?limit=1000").json()["images"]
        assert len(listed) == len(answers)  # the refused one is not there, the first is
        assert image_id in {it["id"] for it in listed}

        filler.unlink()
        assert api.post("images", json={}).status_code == 201


def test_a_file_is_sent_in_parts_and_a_shortened_one_breaks_the_connection(
    tmp_path: Path,
) -> None:
    with servers.catalogue(tmp_path) as service, Api(service) as api:
        image_id = api.new()
        assert api.upload(image_id, DATA).status_code == 204

        part = api.get(f"images/{image_id}/file", headers={"Range": "bytes=5-2000004"})
        assert (part.status_code, part.content) == (206, DATA[5:2000005])
        assert api.data(image_id) == DATA  # over the same connection

        (file,) = [it for it in tmp_path.rglob(f"{image_id}*") if it.is_file()]
        os.truncate(file, len(DATA) - 1)
        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="1 more"):
            api.data(image_id)


def test_a_flipped_bit_in_an_object_store_breaks_the_connection(
    large_catalogue: servers.Service, s3_server: servers.S3
) -> None:
    evidence = Evidence(large_catalogue, s3_server.folder.parent)
    with Api(large_catalogue) as api:
        image_id = api.new()
        assert api.upload(image_id, DATA).status_code == 204
        sizes = {os.path.getsize(name): name for name in evidence.files(image_id)}
        with open(sizes[len(DATA)], "r+b") as file:
            file.seek(5 * MIB)
            file.write(bytes([DATA[5 * MIB] ^ 1]))

        with pytest.raises(requests.exceptions.ChunkedEncodingError, match="more exp"):
            api.data(image_id)
        part = api.get(f"images/{image_id}/file", headers={"Range": "bytes=0-9"})
        assert part.content == DATA[:10]


# The store does not answer


@contextmanager
def silent_server() -> Iterator[int]:
    """Takes every connection and never says a word; its port."""
    with ExitStack() as stack:
        listener = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        pool = stack.enter_context(ThreadPoolExecutor(1))

        def take() -> None:
            with suppress(OSError):
                while True:
                    stack.enter_context(listener.accept()[0])

        pool.submit(take)
        try:
            yield listener.getsockname()[1]
        finally:
            listener.shutdown(socket.SHUT_RDWR)


@pytest.mark.slow
def test_a_store_that_never_answers_holds_nobody_for_long(tmp_path: Path) -> None:
    with silent_server() as port:
        env = {
            "AWS_ACCESS_KEY_ID": "tester",
            "AWS_SECRET_ACCESS_KEY": "tester-secret-key",
            "AWS_REGION": "us-east-1",
            "IMAGECATALOG_STORES": f"silent=s3://bucket?endpoint=http://127.0.0.1:{port}",
        }
        with servers.catalogue(tmp_path, env) as service, Api(service) as api:
            image_id = api.new()
            began = time.monotonic()

            answer = api.upload(image_id, b"data")

            print(f"answered after {time.monotonic() - began:.0f} s")
            assert answer.status_code == 503
            evidence = Evidence(service, tmp_path / "nothing")
            assert evidence.status(image_id) == "queued"
            assert api.delete(f"images/{image_id}").status_code == 204


# Two services on the same catalogue


@pytest.fixture
def two(start: Start) -> Iterator[tuple[Evidence, Evidence]]:
    with start(**LEASE) as one, start(**LEASE) as other:
        yield one, other


def test_two_services_share_a_catalogue(two: tuple[Evidence, Evidence]) -> None:
    evidence = two[0]

    def one_life(number: int) -> str:
        mine, others = two[number % 2].service, two[1 - number % 2].service
        with Api(mine) as here, Api(others) as there:
            image_id = here.new()
            data = os.urandom(50_000)
            with ThreadPoolExecutor(2) as pool:
                uploads = [
                    pool.submit(api.upload, image_id, data) for api in (here, there)
                ]
            codes = sorted(it.result().status_code for it in uploads)
            assert codes == [204, 409]
            assert here.data(image_id) == there.data(image_id) == data
            assert there.delete(f"images/{image_id}").status_code == 204
            assert here.get(f"images/{image_id}").status_code == 404
        return image_id

    with ThreadPoolExecutor(4) as pool:
        ids = list(pool.map(one_life, range(40)))
    evidence.service.manage("image_scrub", "--now", "--yes")
    assert {evidence.status(one) for one in ids} == {"deleted"}
    assert not any(map(evidence.files, ids))


@pytest.mark.slow
def test_no_service_ends_a_living_upload_of_the_other(
    two: tuple[Evidence, Evidence],
) -> None:
    one, other = two
    with Api(one.service) as api:
        image_id = api.new()
    with connect(one.service) as sock, ThreadPoolExecutor(1) as pool:
        sock.sendall(upload_head(one.service, image_id, "Content-Length: 20"))
        upload = pool.submit(trickle, sock, b"x" * 20, 8)  # longer than a lease
        while not upload.done():
            assert other.service.manage("image_reap").startswith("0 transfers")
        assert reply(sock).startswith(b"HTTP/1.1 204 ")
    with Api(other.service) as api:
        assert api.data(image_id) == b"x" * 20


@pytest.mark.slow
def test_an_upload_of_a_frozen_service_is_ended_by_the_other_and_stays_so(
    two: tuple[Evidence, Evidence],
) -> None:
    one, other = two
    with Api(one.service) as api:
        image_id = api.new()
    with connect(one.service) as sock:
        announced = f"Content-Length: {len(DATA) + 1}"
        sock.sendall(upload_head(one.service, image_id, announced) + DATA)
        servers.wait_until(lambda: one.files(image_id), "the first bytes in the store")
        with frozen(one.service):
            other.wait_for(image_id, "queued", 30)
            with Api(other.service) as api:
                assert api.upload(image_id, b"another").status_code == 204
        with suppress(ConnectionError):
            sock.sendall(b"!")
            assert not reply(sock).startswith(b"HTTP/1.1 2")

    with Api(other.service) as api:
        assert api.data(image_id) == b"another"
    servers.wait_until(
        lambda: held(other, image_id) == 1, "the end of the loser's bytes"
    )


def trickle(sock: socket.socket, data: bytes, seconds: float) -> None:
    """Send it byte by byte in this time."""
    for number in range(len(data)):
        sock.sendall(data[number : number + 1])
        time.sleep(seconds / len(data))


def held(evidence: Evidence, image_id: str) -> int:
    """How many objects of the image its stores have."""
    names = {os.path.basename(path) for path in evidence.files(image_id)}
    return len({name.removesuffix(".json") for name in names})


@contextmanager
def frozen(service: servers.Service) -> Iterator[None]:
    """No process of it gets to run."""
    with servers.frozen(psutil.Process(service.process.pid)):
        yield
