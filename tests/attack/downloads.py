"""Honest clients on slow lines: thousands of downloads at once, each at its own steady rate."""

from __future__ import annotations

import multiprocessing
import os
import socket
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path

from tests.attack import victim
from tests.attack.figures import Figure
from tests.attack.slow import CHECK, SHOW
from tests.attack.target import ATTACKERS, SOURCES, Target, raise_limit
from tests.bench.wire import Endpoint, exchange

SPAWN = multiprocessing.get_context("spawn")
RATE = 100 << 10  # bytes a second
TICK = 0.25  # s between two reads of one client
SLOTS = 25  # of this time
ARRIVALS = 400  # new clients a second
BUFFER = 64 << 10  # bytes of one read
# Bytes that wait in a client's socket. Less than four of the loopback's segments would make the
# kernel drop some, and send them again after ever longer waits.
WAITING = 4 * BUFFER
SLOWEST = 1.1  # of the time that the rate allows
PATIENCE = 3.0  # of this time until a client gives up
HELD = (
    1229 << 10
)  # bytes of sockets that one download through nginx holds, see docs/operations.md
TCP_MEMORY = Path("/proc/sys/net/ipv4/tcp_mem")  # least, pressure, most; in pages


@dataclass(frozen=True)
class Result:
    """The result of a download: how long it took, and what was wrong."""

    seconds: float
    fault: str = ""


class Download:
    """A client that reads no faster than its line allows."""

    def __init__(self, endpoint: Endpoint, path: str, size: int) -> None:
        self.size, self.begin = size, time.monotonic()
        self.request = endpoint.request("GET", path)
        self.head, self.received = b"", 0
        self.sock = socket.socket()
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, WAITING)
        self.sock.setblocking(False)
        self.sock.bind((endpoint.source, 0))
        self.sock.connect_ex((endpoint.host, endpoint.port))

    def read(self, buffer: memoryview) -> Result | None:
        """Take what the rate allows up to now; the result once all has come, or nothing will."""
        spent = time.monotonic() - self.begin
        allowed = min(int(spent * RATE) - self.received, len(buffer))
        try:
            if self.request:
                self.sock.send(self.request)
                self.request = b""
            count = self.sock.recv_into(buffer[: max(allowed, 1)])
        except BlockingIOError:
            late = spent > PATIENCE * self.size / RATE
            return Result(spent, "too slow") if late else None
        except OSError as error:
            return Result(spent, type(error).__name__)
        if not count:
            return Result(spent, self.head[9:12].decode() or "no answer")
        self.take(buffer[:count])
        done = self.received >= self.size
        return Result(spent) if done else None

    def take(self, data: memoryview) -> None:
        if self.head.endswith(b"\r\n\r\n"):
            self.received += len(data)
            return
        head, end, body = (self.head + bytes(data)).partition(b"\r\n\r\n")
        self.head = head + end
        if b" 200 " in self.head[:13]:
            self.received = len(body)


def drive(
    endpoints: Sequence[tuple[Endpoint, str]], number: int, size: int
) -> list[Result]:
    """Run so many downloads, spread over the endpoints and their paths, in this thread."""
    raise_limit(number + 100)
    buffer = memoryview(bytearray(BUFFER))
    slots: list[list[Download]] = [[] for _ in range(SLOTS)]
    results: list[Result] = []
    begin, due, opened, slot = time.monotonic(), time.monotonic(), 0, 0
    while len(results) < number:
        arrived = int((time.monotonic() - begin) * ARRIVALS)
        while opened < min(number, arrived):
            endpoint, path = endpoints[opened % len(endpoints)]
            slots[opened % SLOTS].append(Download(endpoint, path, size))
            opened += 1
        going = []
        for download in slots[slot]:
            result = download.read(buffer)
            if result is None:
                going.append(download)
                continue
            download.sock.close()
            results.append(result)
        slots[slot] = going
        slot, due = (slot + 1) % SLOTS, due + TICK / SLOTS
        time.sleep(max(due - time.monotonic(), 0))
    return results


def _drive(
    endpoints: Sequence[tuple[Endpoint, str]], number: int, size: int, pipe: Connection
) -> None:
    pipe.send(drive(endpoints, number, size))


def measure(target: Target, number: int, seconds: float) -> list[Figure]:
    """Serve so many downloads of this length at once, from fifty addresses and projects."""
    _warn_of_little_memory(number)
    size = int(seconds * RATE)
    endpoints = [_image(target, index, size) for index in range(len(SOURCES))]
    memory = peak = target.memory()
    ours, theirs = SPAWN.Pipe()
    client = SPAWN.Process(
        target=_drive, args=(endpoints, number, size, theirs), daemon=True
    )
    client.start()
    theirs.close()
    watch = victim.Watch(target.victim(), size=0)
    while not ours.poll(1):
        peak = max(peak, target.memory())
    results: list[Result] = ours.recv()
    client.join()
    seen = watch.end()
    name = f"{number} downloads, {target.way}"
    whole = [result for result in results if not result.fault]
    slowest = max((result.seconds for result in whole), default=float("inf"))
    faults = Counter(result.fault for result in results if result.fault)
    note = ", ".join(f"{count} {what}" for what, count in faults.items())
    return [
        Figure(f"{name}: whole", len(whole), number, least=True, note=note),
        Figure(f"{name}: slowest", slowest / seconds, SLOWEST, "of its rate's time"),
        Figure(f"{name}: show, p95", seen.p95(), SHOW, "ms"),
        Figure(f"{name}: slowest health check", seen.slowest_check(), CHECK, "s"),
        Figure(f"{name}: failures of others", len(seen.failures), 0),
        Figure(f"{name}: memory", peak - memory, 256, "MiB more"),
    ]


def _warn_of_little_memory(number: int) -> None:
    """Print a hint if the kernel allows sockets less memory than so many downloads hold."""
    page = os.sysconf("SC_PAGE_SIZE")
    least, pressure, most = (int(pages) for pages in TCP_MEMORY.read_text().split())
    if pressure * page < number * HELD:
        pages = number * HELD // page
        print(
            f"net.ipv4.tcp_mem is {least} {pressure} {most}: downloads through nginx will wait for "
            f"the kernel. Set it to {pages} {pages * 4 // 3} {pages * 2}.",
            flush=True,
        )


def _image(target: Target, index: int, size: int) -> tuple[Endpoint, str]:
    endpoint = target.endpoint(ATTACKERS[index], SOURCES[index])
    path = f"/v2/images/{victim.create(endpoint)}/file"
    put = endpoint.request("PUT", path, headers=victim.OCTETS, body=bytes(size))
    exchange(endpoint, put).expect(204, "upload")
    return endpoint, path
