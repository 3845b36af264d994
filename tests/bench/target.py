"""One service under measurement: its images, its big image, its processes.

Speaks Image API v2 and nothing else, so that the peer and ours get the same requests.
"""

from __future__ import annotations

import hashlib
import random
import re
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from tests.bench import fill
from tests.bench.quiet import Memory
from tests.bench.wire import BLOCK, BenchError, Endpoint, call, exchange, read_answer

CHUNK = 64 << 10  # what the stock clients send as one chunk
MAX_PAGE = 1000
NAMESPACES = 33


@cache
def pattern() -> bytes:
    """A block of reproducible noise: uploads consist of it again and again."""
    return random.Random(25).randbytes(BLOCK)


@cache
def digest(size: int) -> str:
    """MD5 of an upload of ``size`` bytes."""
    md5 = hashlib.md5(usedforsecurity=False)
    for _ in range(size // BLOCK):
        md5.update(pattern())
    return md5.hexdigest()


@cache
def chunks(chunked: bool) -> tuple[bytes, ...]:
    """The pattern as it goes to the socket: 64 KiB a send, framed as chunks or bare."""
    starts = range(0, BLOCK, CHUNK)
    bare = (pattern()[start : start + CHUNK] for start in starts)
    return tuple(b"%x\r\n%b\r\n" % (CHUNK, p) if chunked else p for p in bare)


@dataclass(frozen=True)
class Import:
    """The seconds of an import: in total, and from the end of the wait for a worker."""

    total: float
    work: float


@dataclass
class Target:
    """A service and what the benchmark made there."""

    name: str
    endpoint: Endpoint
    memory: Memory | None = None
    owner: str = ""
    admin: tuple[str, str] | None = None  # who signs in to the browser admin
    cookie: str = ""
    cached_store: str = ""  # the id of a store whose data is cached
    publishes: bool = False  # files of families below /pub/
    images: list[str] = field(default_factory=list)  # to delete at the end
    namespaces: list[str] = field(default_factory=list)  # the paths of those created
    spare: list[str] = field(default_factory=list)  # for the delete row
    big: str = ""  # the image with data, for downloads
    read: set[str] = field(default_factory=set)  # downloaded before
    paths: dict[str, str] = field(default_factory=dict)

    # Images without data

    def create(self, number: int) -> str:
        """Create an image, return its id."""
        answer = call(self.endpoint, "POST", "/v2/images", fill.document(number))
        image = answer.expect(201, f"{self.name}: create").json()
        self.owner = str(image.get("owner") or "")
        self.images.append(str(image["id"]))
        return self.images[-1]

    def create_many(self, first: int, last: int) -> None:
        """Create images over HTTP, four at a time."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self.create, range(first, last)))

    def delete(self, image: str) -> None:
        """Delete an image."""
        answer = call(self.endpoint, "DELETE", f"/v2/images/{image}")
        answer.expect(204, f"{self.name}: delete")

    def forget(self) -> None:
        """Delete everything that was created here and still exists."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(self._delete_if_there, [*self.images, *self.spare]))
        for path in self.namespaces:
            call(self.endpoint, "DELETE", path)
        self.images, self.spare, self.namespaces = [], [], []

    def _delete_if_there(self, image: str) -> None:
        call(self.endpoint, "DELETE", f"/v2/images/{image}")

    # Where the pages are

    def pages(self) -> Iterator[tuple[str, list[dict[str, object]]]]:
        """Every page of the whole list: its path, its images."""
        path = f"/v2/images?limit={MAX_PAGE}"
        while path:
            page = call(self.endpoint, "GET", path).expect(200, "list").json()
            images = page["images"]
            if not isinstance(images, list):
                raise BenchError(f"{self.name}: the list is not a list")
            yield path, images
            path = str(page.get("next") or "")

    def survey(self) -> int:
        """Find a deep page (at 90 %) and an image to show; returns the number of images."""
        ids = [str(image["id"]) for _, images in self.pages() for image in images]
        if len(ids) < MAX_PAGE:
            raise BenchError(f"{self.name}: {len(ids)} images, {MAX_PAGE} are needed")
        marker = ids[len(ids) * 9 // 10 - 1]
        self.paths |= {
            "first": "/v2/images?limit=25",
            "deep": f"/v2/images?limit=25&marker={marker}",
            "thousand": f"/v2/images?limit={MAX_PAGE}",
            "show": f"/v2/images/{ids[len(ids) // 2]}",
        }
        self._check("first", 25)
        self._check("deep", 25)
        self._check("thousand", MAX_PAGE)
        return len(ids)

    def survey_namespaces(self) -> None:
        """Create public namespaces of metadata definitions until there are 33, to list them."""
        path = "/v2/metadefs/namespaces"
        answer = call(self.endpoint, "GET", f"{path}?limit={NAMESPACES}")
        found: Any = answer.expect(200, f"{self.name}: namespaces").json()
        for number in range(NAMESPACES - len(found["namespaces"])):
            wanted = {"namespace": f"bench-{number}", "visibility": "public"}
            answer = call(self.endpoint, "POST", path, wanted)
            answer.expect(201, f"{self.name}: namespace")
            self.namespaces.append(f"{path}/{wanted['namespace']}")
        self.paths["namespaces"] = f"{path}?limit={NAMESPACES}"

    def _check(self, page: str, length: int) -> None:
        """What is measured must be what was asked for: so many images, fully shown."""
        answer = call(self.endpoint, "GET", self.paths[page]).expect(200, "list")
        images = answer.json()["images"]
        if not isinstance(images, list) or len(images) != length:
            raise BenchError(f"{self.name}: {self.paths[page]} is not {length} images")
        if len(images[0]["tags"]) != 3 or "build_number" not in images[0]:
            raise BenchError(f"{self.name}: a listed image lacks properties or tags")

    # Data

    def upload(self, size: int, *, chunked: bool, store: str = "") -> float:
        """Upload noise to a new image; seconds from connecting to the answer.

        ``store``: the id of the store that gets the data, the default one if empty.
        """
        image = self.create(0)
        more = {"X-Image-Meta-Store": store} if store else {}
        with self.memory.watched() if self.memory else nullcontext():
            path = f"/v2/images/{image}/file"
            seconds = self.send(path, size, chunked=chunked, more=more)
        self._verify(image, size)
        self.big = image
        return seconds

    def send(
        self, path: str, size: int, *, chunked: bool, more: Mapping[str, str]
    ) -> float:
        """PUT noise, with ``more`` headers; seconds from connecting to the answer."""
        framing = {"Transfer-Encoding": "chunked"}
        if not chunked:
            framing = {"Content-Length": str(size)}
        headers = {"Content-Type": "application/octet-stream", **framing, **more}
        head = self.endpoint.request("PUT", path, headers=headers)
        block = chunks(chunked)
        begin = time.perf_counter()
        with self.endpoint.connect() as sock:
            sock.sendall(head)
            for _ in range(size // BLOCK):
                for chunk in block:
                    sock.sendall(chunk)
            if chunked:
                sock.sendall(b"0\r\n\r\n")
            read_answer(sock).expect(204, f"{self.name}: upload")
        return time.perf_counter() - begin

    def _verify(self, image: str, size: int) -> None:
        shown = call(self.endpoint, "GET", f"/v2/images/{image}").json()
        if (shown["size"], shown["checksum"]) != (size, digest(size)):
            raise BenchError(f"{self.name}: the uploaded image has wrong size or MD5")

    def drop_big(self) -> None:
        """Delete the image with data."""
        if self.big:
            self.delete(self.big)
            self.images.remove(self.big)
            self.big = ""

    def download(self, size: int, path: str = "") -> float:
        """Read the big image, at another path if one is given; seconds from connecting to the last byte."""
        path = path or f"/v2/images/{self.big}/file"
        request = self.endpoint.request("GET", path)
        with self.memory.watched() if self.memory else nullcontext():
            begin = time.perf_counter()
            answer = exchange(self.endpoint, request, keep=False)
            seconds = time.perf_counter() - begin
        answer.expect(200, f"{self.name}: download")
        if answer.length != size:
            raise BenchError(f"{self.name}: {answer.length} of {size} bytes came")
        self.read.add(self.big)
        return seconds

    def wait_until_cached(self) -> None:
        """Wait until the cache of the service has the big image; at most 60 s."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            answer = call(self.endpoint, "GET", "/v2/cache").expect(200, "cache")
            found: Any = answer.json()
            if self.big in {one["image_id"] for one in found["cached_images"]}:
                return
            time.sleep(0.05)
        raise BenchError(f"{self.name}: the image is not in the cache after 60 s")

    # The published tree

    @contextmanager
    def published(self) -> Iterator[str]:
        """Publish the big image, and yield the path of its file, which is gone afterwards."""
        families, name = "/catalog/v1/families", "bench"
        wanted: dict[str, object] = {"name": name, "architecture": "x86_64"}
        wanted |= {"scope": "public", "visibility": "public", "publish": True}
        answer = call(self.endpoint, "POST", families, wanted)
        answer.expect(201, f"{self.name}: family")
        version = {"image": self.big, "label": "1", "promote": True}
        answer = call(self.endpoint, "POST", f"{families}/{name}/versions", version)
        answer.expect(201, f"{self.name}: version")
        path = f"/pub/images/{name}/1/{name}-1.raw"
        self._wait_for(path)
        yield path
        call(self.endpoint, "DELETE", f"{families}/{name}").expect(204, "family")

    def _wait_for(self, path: str) -> None:
        """Wait until a file is published; at most 60 s."""
        deadline = time.monotonic() + 60
        request = self.endpoint.request("GET", path, headers={"Range": "bytes=0-0"})
        while exchange(self.endpoint, request).status != 206:
            if time.monotonic() > deadline:
                raise BenchError(f"{self.name}: {path} is not published after 60 s")
            time.sleep(0.05)

    # Imports

    def stores(self) -> list[str]:
        """The ids of the stores that can be written, the default one first."""
        answer = call(self.endpoint, "GET", "/v2/info/stores")
        if answer.status != 200:
            return []
        found: Any = answer.json()["stores"]
        writable = [one for one in found if one.get("read-only") != "true"]
        writable.sort(key=lambda one: one.get("default") != "true")
        return [str(one["id"]) for one in writable]

    def import_staged(self, size: int) -> float:
        """Stage noise, import it into the default store, and delete it.

        Returns the seconds of staging and import.
        """
        image = self.create(0)
        staging = self.send(f"/v2/images/{image}/stage", size, chunked=False, more={})
        done = self._import(image, {"name": "glance-direct"})
        self._drop(image, size)
        return staging + done.total

    def import_from_web(
        self, size: int, url: str, stores: Sequence[str] = ()
    ) -> Import:
        """Import the noise at a URL into these stores, or the default one, and delete it."""
        image = self.create(0)
        done = self._import(image, {"name": "web-download", "uri": url}, stores)
        self._drop(image, size)
        return done

    def copy(self, size: int, store: str) -> float:
        """Upload noise into the default store, copy it into another one, and delete it.

        Returns the seconds of the copy.
        """
        self.drop_big()
        self.upload(size, chunked=False)
        done = self._import(self.big, {"name": "copy-image"}, [store])
        shown = call(self.endpoint, "GET", f"/v2/images/{self.big}").json()
        if store not in str(shown["stores"]).split(","):
            raise BenchError(f"{self.name}: the image was not copied into {store}")
        self.drop_big()
        return done.total

    def _import(
        self, image: str, method: Mapping[str, str], stores: Sequence[str] = ()
    ) -> Import:
        wanted: dict[str, object] = {"method": method}
        if stores:
            wanted["stores"] = list(stores)
        with self.memory.watched() if self.memory else nullcontext():
            asked = time.perf_counter()
            answer = call(self.endpoint, "POST", f"/v2/images/{image}/import", wanted)
            answer.expect(202, f"{self.name}: import")
            self._wait_while(image, "pending")
            began = time.perf_counter()
            self._wait_while(image, "processing")
            ended = time.perf_counter()
        return Import(ended - asked, ended - began)

    def _drop(self, image: str, size: int) -> None:
        self._verify(image, size)
        self.delete(image)
        self.images.remove(image)

    def _wait_while(self, image: str, status: str) -> None:
        """Wait until the newest task of an image has another status."""
        path = f"/v2/images/{image}/tasks"
        while True:
            tasks: Any = call(self.endpoint, "GET", path).json()["tasks"]
            if tasks[0]["status"] != status:
                return
            time.sleep(0.01)


def software(endpoint: Endpoint) -> str:
    """The newest API version that a service announces."""
    answer = call(endpoint, "GET", "/")
    minors = [int(minor) for minor in re.findall(rb'"v2\.(\d+)"', answer.body)]
    return f"Image API v2.{max(minors)}" if minors else "Image API ?"
