"""However large an image is, the service holds only a small part of it at a time."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import pytest

from tests import servers
from tests.servers import Service
from tests.web import Quiet, allow, serving
from tests.wire.api import OCTETS, Api, connect, head, upload_head

MIB = 1 << 20
SIZE = 1024 * MIB
LIMIT = 64 * MIB

pytestmark = pytest.mark.slow


def memory(service: Service) -> dict[int, int]:
    """Resident bytes of each of its processes."""
    root = psutil.Process(service.process.pid)
    processes = [root, *root.children(recursive=True)]
    return {process.pid: process.memory_info().rss for process in processes}


@contextmanager
def watched(service: Service) -> Iterator[dict[int, int]]:
    """By how many bytes each process has grown at most meanwhile."""
    before = memory(service)
    growth = dict.fromkeys(before, 0)
    ended = threading.Event()

    def watch() -> None:
        while not ended.wait(0.05):
            for pid, size in memory(service).items():
                growth[pid] = max(growth.get(pid, 0), size - before.get(pid, 0))

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        yield growth
    finally:
        ended.set()
        watcher.join()


def check_growth(service: Service, kind: str) -> None:
    need_space(service, 3)
    with Api(service) as api:
        image_id = api.new()
        for _ in range(20):  # every process has done this once
            api.data(image_id)
        with watched(service) as growth:
            send(service, image_id, kind)
            assert receive(service, image_id) == SIZE
        api.delete(f"images/{image_id}")
    assert growth
    assert max(growth.values()) < LIMIT, growth


def test_a_large_image_in_chunks_does_not_fill_the_memory(catalogue: Service) -> None:
    check_growth(catalogue, "chunked")


def test_a_large_image_of_known_size_does_not_fill_the_memory(
    any_catalogue: Service,
) -> None:
    check_growth(any_catalogue, "counted")


def test_a_large_import_into_two_stores_does_not_fill_the_memory(
    tmp_path: Path, s3: servers.S3
) -> None:
    """The slow one of two stores, an object store, does not let blocks wait for it."""
    stores = f"local=file://{tmp_path}/local,{s3.store('far', 'far')}"
    env = s3.env | {"IMAGECATALOG_STORES": stores}
    with servers.catalogue(tmp_path, env) as service, Api(service) as api:
        need_space(service, 4)
        import_zeros(api, 16 * MIB)  # every process has done this once
        with watched(service) as growth:
            import_zeros(api, SIZE)
    assert growth
    assert max(growth.values()) < LIMIT, growth


class Zeros(Quiet):
    """Answers with zeros: as many bytes as the path names, such as ``/1048576``."""

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", self.path[1:])
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        block = bytes(MIB)
        for _ in range(int(self.path[1:]) // MIB):
            self.wfile.write(block)


@pytest.mark.long
@pytest.mark.parametrize("method", ["web-download", "copy-image"])
def test_a_large_import_does_not_fill_the_memory(
    method: str, tmp_path: Path, s3: servers.S3
) -> None:
    """A download from a web server, or a copy from an object store to a folder."""
    stores = f"local=file://{tmp_path}/local,{s3.store('far', 'far')}"
    with (
        serving(Zeros) as url,
        servers.catalogue(
            tmp_path, s3.env | allow(url) | {"IMAGECATALOG_STORES": stores}
        ) as service,
        Api(service) as api,
    ):
        need_space(service, 3)
        bring_in(api, method, url, 16 * MIB)  # every process has done this once
        with watched(service) as growth:
            bring_in(api, method, url, SIZE)
    assert growth
    assert max(growth.values()) < LIMIT, growth


def bring_in(api: Api, method: str, url: str, size: int) -> None:
    """Import zeros into the store ``local``, and delete them."""
    image_id, stores = api.new(), "local"
    if method == "copy-image":
        put_zeros(api, f"images/{image_id}/file", size, {"x-image-meta-store": "far"})
        stores = "far,local"
    request = {"method": {"name": method, "uri": f"{url}/{size}"}, "stores": ["local"]}
    import_and_delete(api, image_id, request, stores, size)


def import_zeros(api: Api, size: int) -> None:
    """Stage zeros, import them into all stores, and delete them."""
    image_id = api.new()
    put_zeros(api, f"images/{image_id}/stage", size)
    request = {"method": {"name": "glance-direct"}, "all_stores": True}
    import_and_delete(api, image_id, request, "local,far", size)


def put_zeros(
    api: Api, path: str, size: int, more: dict[str, str] | None = None
) -> None:
    block = bytes(MIB)
    zeros = (block for _ in range(size // MIB))
    sent = api.put(path, data=zeros, headers=OCTETS | (more or {}))
    assert sent.status_code == 204, sent.text


def import_and_delete(
    api: Api, image_id: str, request: dict[str, object], stores: str, size: int
) -> None:
    """Import as the request says, wait until the image is in these stores, and delete it."""

    def is_there() -> bool:
        image = api.get(f"images/{image_id}").json()
        return image["status"] == "active" and image["stores"] == stores

    assert api.post(f"images/{image_id}/import", json=request).status_code == 202
    servers.wait_until(is_there, f"the import of {size} bytes", 300)
    api.delete(f"images/{image_id}")


def need_space(service: Service, copies: int) -> None:
    """Skip the test unless the disk has room for so many copies of a large image."""
    free = shutil.disk_usage(service.data_dir).free
    if free < copies * SIZE:
        pytest.skip(f"only {free // MIB} MiB are free on the disk")


def send(service: Service, image_id: str, kind: str) -> None:
    """Zeros, always from the same buffer."""
    block, end, framing = bytes(MIB), b"", f"Content-Length: {SIZE}"
    if kind == "chunked":
        block, end = b"%x\r\n%s\r\n" % (MIB, block), b"0\r\n\r\n"
        framing = "Transfer-Encoding: chunked"
    with connect(service) as sock:
        sock.sendall(upload_head(service, image_id, framing))
        for _ in range(SIZE // MIB):
            sock.sendall(block)
        sock.sendall(end)
        assert sock.recv(MIB).startswith(b"HTTP/1.1 204 ")


def receive(service: Service, image_id: str) -> int:
    """How many bytes the image has."""
    buffer = bytearray(MIB)
    with connect(service) as sock:
        sock.sendall(
            head(service, "GET", f"/v2/images/{image_id}/file", "Connection: close")
        )
        count = sock.recv_into(buffer)
        count -= buffer.index(b"\r\n\r\n") + 4
        while more := sock.recv_into(buffer):
            count += more
    return count
