"""How many requests a second a service answers: several client processes, raw sockets.

Requests are prepared bytes and answers are only framed, not parsed, so that the client
takes a small part of what the service takes. It knows nothing of images.
"""

from __future__ import annotations

import multiprocessing
import selectors
import socket
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Barrier

from tests.bench.wire import TIMEOUT, BenchError, Endpoint, parse_head

SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Rate:
    """Answers a second, and the busiest client process as a share of one core."""

    per_second: float
    client_share: float


class Line:
    """One connection that always has exactly one request under way."""

    def __init__(
        self, endpoint: Endpoint, request: bytes, selector: selectors.BaseSelector
    ) -> None:
        self.endpoint, self.request, self.selector = endpoint, request, selector
        self.sock: socket.socket | None = None
        self.reusable = True  # until the service hangs up after an answer
        self.answers = 0  # on this connection
        self.send()

    def send(self) -> None:
        """Start a request, on a new connection where the service keeps none alive."""
        self.buffer, self.end = bytearray(), 0
        if self.sock is None or not self.reusable:
            self.reconnect()
        assert self.sock is not None
        try:
            self.sock.sendall(self.request)
        except (BrokenPipeError, ConnectionResetError):
            self.hung_up()

    def reconnect(self) -> None:
        self.close()
        self.sock, self.answers = self.endpoint.connect(), 0
        self.selector.register(self.sock, selectors.EVENT_READ, self)

    def close(self) -> None:
        if self.sock is not None:
            self.selector.unregister(self.sock)
            self.sock.close()
            self.sock = None

    def hung_up(self) -> None:
        """An answered connection may be closed; then every request gets a new one."""
        if not self.answers or self.buffer:
            raise BenchError("the service hung up in the middle of a request")
        self.reusable = False
        self.send()

    def receive(self) -> bool:
        """Take what has arrived; True when the answer is complete."""
        assert self.sock is not None
        try:
            data = self.sock.recv(1 << 18)
        except ConnectionResetError:
            data = b""
        if not data:
            self.hung_up()
            return False
        self.buffer += data
        if not self.complete():
            return False
        self.answers += 1
        return True

    def complete(self) -> bool:
        if not self.end:
            head = self.buffer.find(b"\r\n\r\n")
            if head < 0:
                return False
            self.end = self.frame(bytes(self.buffer[:head]), head + 4)
        if self.end < 0:
            return self.buffer.endswith(b"0\r\n\r\n")
        return len(self.buffer) >= self.end

    def frame(self, head: bytes, start: int) -> int:
        """Where the answer ends; -1 for a chunked one."""
        status, headers = parse_head(head)
        if status != 200:
            raise BenchError(f"{status} under load")
        if "content-length" in headers:
            return start + int(headers["content-length"])
        return -1


def drive(endpoint: Endpoint, requests: Sequence[bytes], seconds: float) -> Rate:
    """Keep a connection for each request busy for ``seconds``, in this process."""
    selector = selectors.DefaultSelector()
    all_lines = [Line(endpoint, request, selector) for request in requests]
    begin, cpu, count = time.perf_counter(), time.process_time(), 0
    while time.perf_counter() - begin < seconds:
        ready = selector.select(TIMEOUT)
        if not ready:
            raise BenchError("no answer under load")
        for key, _ in ready:
            if key.data.receive():
                count += 1
                key.data.send()
    elapsed = time.perf_counter() - begin
    share = (time.process_time() - cpu) / elapsed
    for line in all_lines:
        line.close()
    return Rate(count / elapsed, share)


def client(
    endpoint: Endpoint,
    requests: Sequence[bytes],
    seconds: float,
    start: Barrier,
    results: Queue[Rate | str],
) -> None:
    """A client process: wait for the others, drive, report a rate or what went wrong."""
    start.wait(60)
    try:
        results.put(drive(endpoint, requests, seconds))
    except (BenchError, OSError) as error:
        results.put(str(error))


def throughput(
    endpoint: Endpoint,
    path: str,
    *,
    connections: int = 8,
    processes: int = 2,
    seconds: float = 3,
) -> Rate:
    """GET ``path`` from ``connections`` kept-alive connections of several processes."""
    request = endpoint.request("GET", path, keep_alive=True)
    return rate(endpoint, [request] * connections, processes, seconds)


def rate(
    endpoint: Endpoint, requests: Sequence[bytes], processes: int, seconds: float
) -> Rate:
    """Repeat each request on a connection of its own, from several processes. The answers are 200."""
    start = SPAWN.Barrier(processes)
    results: Queue[Rate | str] = SPAWN.Queue()
    clients = [
        SPAWN.Process(
            target=client,
            args=(endpoint, requests[index::processes], seconds, start, results),
        )
        for index in range(processes)
    ]
    for process in clients:
        process.start()
    try:
        answers = [results.get(timeout=seconds + TIMEOUT) for _ in clients]
    finally:
        for process in clients:
            process.join(10)
            process.kill()
    return merged(answers)


def merged(answers: list[Rate | str]) -> Rate:
    for answer in answers:
        if isinstance(answer, str):
            raise BenchError(answer)
    rates = [answer for answer in answers if isinstance(answer, Rate)]
    return Rate(
        sum(rate.per_second for rate in rates), max(rate.client_share for rate in rates)
    )
