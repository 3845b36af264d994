"""A client that uses the service as always, in a process of its own, and takes the times.

One request at a time: what it measures is what the service and its other clients do, not how
many requests of its own are under way.
"""

from __future__ import annotations

import multiprocessing
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection

from tests.attack.figures import percentile
from tests.bench.wire import BLOCK, BenchError, Endpoint, call, exchange, read_answer

SPAWN = multiprocessing.get_context("spawn")
SIZE = 64 * BLOCK  # of a transfer
REQUESTS = 20  # between two health checks, each of them both ways
TRANSFERS = 5.0  # s between two of them
PAUSE = 0.05  # s between two requests
DOCUMENT = {"name": "an image", "disk_format": "raw", "container_format": "bare"}
OCTETS = {"Content-Type": "application/octet-stream"}


@dataclass
class Seen:
    """What the client has measured: seconds, and MiB/s of transfers."""

    fresh: list[float] = field(default_factory=list)  # each on a new connection
    kept_alive: list[float] = field(default_factory=list)
    checks: list[float] = field(default_factory=list)
    uploads: list[float] = field(default_factory=list)
    downloads: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)

    def p95(self) -> float:
        """Milliseconds, the worse of both ways."""
        return 1000 * max(percentile(it, 0.95) for it in (self.fresh, self.kept_alive))

    def growth(self) -> float:
        """The last third of the time in relation to the first, at the 95th percentile."""
        third = len(self.fresh) // 3
        first, last = self.fresh[:third], self.fresh[-third:]
        return percentile(last, 0.95) / percentile(first, 0.95) if third else 0

    def slowest_check(self) -> float:
        return max(self.checks, default=float("inf"))


class Victim:
    """The client's loop. A failure counts as the time that was spent in vain.

    It asks for ``path``. ``size`` is that of its transfers; with 0 there are none.
    """

    def __init__(self, endpoint: Endpoint, size: int, path: str) -> None:
        self.endpoint, self.size, self.seen = endpoint, size, Seen()
        self.path = path
        self.line: socket.socket | None = None
        self.block = bytes(range(256)) * (BLOCK // 256)

    def run(self, stop: Callable[[], bool]) -> Seen:
        due = 0.0
        while not stop():
            if self.size and time.monotonic() > due:
                self.transfer()
                due = time.monotonic() + TRANSFERS
            self.time(self.seen.checks, self.check)
            for _ in range(REQUESTS):
                self.time(self.seen.fresh, self.ask)
                self.time(self.seen.kept_alive, self.ask_again)
                time.sleep(PAUSE)
        return self.seen

    def time(self, samples: list[float], action: Callable[[], object]) -> None:
        begin = time.perf_counter()
        try:
            action()
        except (BenchError, OSError, ValueError) as error:
            self.seen.failures.append(f"{action.__name__}: {error or type(error)}")
        samples.append(time.perf_counter() - begin)

    def ask(self) -> None:
        request = self.endpoint.request("GET", self.path)
        exchange(self.endpoint, request).expect(200, self.path)

    def ask_again(self) -> None:
        """Use the connection of the time before. Any client expects the end of an idle one."""
        request = self.endpoint.request("GET", self.path, keep_alive=True)
        if self.line is not None:
            try:
                self.line.sendall(request)
                read_answer(self.line).expect(200, self.path)
                return
            except (OSError, BenchError):
                self.line.close()
        self.line = self.endpoint.connect()
        self.line.sendall(request)
        read_answer(self.line).expect(200, self.path)

    def check(self) -> None:
        request = self.endpoint.request("GET", "/healthcheck")
        exchange(self.endpoint, request).expect(200, "health check")

    def transfer(self) -> None:
        """Upload, download and delete an image."""
        try:
            path = f"/v2/images/{create(self.endpoint)}"
            self.seen.uploads.append(self.rate(lambda: self.upload(path)))
            self.seen.downloads.append(self.rate(lambda: self.download(path)))
            call(self.endpoint, "DELETE", path).expect(204, "delete")
        except (BenchError, OSError, ValueError) as error:
            self.seen.failures.append(f"transfer: {error or type(error)}")

    def rate(self, action: Callable[[], None]) -> float:
        """MiB/s; 0 for a transfer that fails."""
        begin = time.perf_counter()
        try:
            action()
        except (BenchError, OSError) as error:
            self.seen.failures.append(f"transfer: {error or type(error)}")
            return 0
        return self.size / BLOCK / (time.perf_counter() - begin)

    def upload(self, path: str) -> None:
        headers = {**OCTETS, "Content-Length": str(self.size)}
        head = self.endpoint.request("PUT", f"{path}/file", headers=headers)
        with self.endpoint.connect() as sock:
            sock.sendall(head)
            for _ in range(self.size // BLOCK):
                sock.sendall(self.block)
            read_answer(sock).expect(204, "upload")

    def download(self, path: str) -> None:
        request = self.endpoint.request("GET", f"{path}/file")
        answer = exchange(self.endpoint, request, keep=False).expect(200, "download")
        if answer.length != self.size:
            raise BenchError(f"{answer.length} of {self.size} bytes came")


def create(endpoint: Endpoint) -> str:
    """The id of a new image, ready for data."""
    answer = call(endpoint, "POST", "/v2/images", DOCUMENT)
    return str(answer.expect(201, "create").json()["id"])


class Watch:
    """The process of a ``Victim``, from now on until ``end`` is called.

    By default it asks for an image of its own, which is created here, before an attack.
    """

    def __init__(self, endpoint: Endpoint, size: int = SIZE, path: str = "") -> None:
        path = path or f"/v2/images/{create(endpoint)}"
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(
            target=_watch, args=(endpoint, size, path, theirs), daemon=True
        )
        self._process.start()
        theirs.close()

    def end(self) -> Seen:
        self._pipe.send("end")
        seen: Seen = self._pipe.recv()
        self._process.join()
        return seen


def during(endpoint: Endpoint, seconds: float, size: int = SIZE) -> Seen:
    """What the client sees in so many seconds."""
    watch = Watch(endpoint, size)
    time.sleep(seconds)
    return watch.end()


def _watch(endpoint: Endpoint, size: int, path: str, pipe: Connection) -> None:
    pipe.send(Victim(endpoint, size, path).run(pipe.poll))
