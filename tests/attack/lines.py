"""Connections that are slow on purpose: idle, in the middle of a request, or never read.

One process opens all of them from one thread, so that the attack costs the machine little.
"""

from __future__ import annotations

import contextlib
import multiprocessing
import selectors
import socket
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from multiprocessing.connection import Connection

from tests.attack import victim
from tests.attack.target import ATTACKERS, SOURCES, Target, raise_limit
from tests.bench.wire import BLOCK, Endpoint, call, exchange

SPAWN = multiprocessing.get_context("spawn")
DRIP = 2.0  # s between two bytes
SLOTS = 20  # of the time between two bytes
SMALL, LARGE = 60_000, 1 << 30  # announced bytes of a body, none too many
FORM = {"Content-Type": "application/x-www-form-urlencoded"}
JSON = {"Content-Type": "application/json"}
NEVER_READ = 16 * BLOCK  # bytes of the image that is downloaded


@dataclass(frozen=True)
class Line:
    """A connection: its opening bytes, the byte that follows now and then, and whether it reads."""

    kind: str
    source: str
    opening: bytes = b""
    drip: bytes = b""
    reads: bool = True


@dataclass
class Report:
    """The ends of the connections, counted by kind."""

    refused: Counter[str] = field(default_factory=Counter)  # could not be opened
    ended: Counter[str] = field(default_factory=Counter)  # by the other side
    answers: Counter[str] = field(default_factory=Counter)  # status codes


class Plan:
    """Makes connections of each kind; what needs an image creates it first."""

    def __init__(self, target: Target, sources: int) -> None:
        self.target, self.count = target, sources
        self.unread: dict[int, str] = {}  # the image to download, of each attacker
        self.created: list[tuple[int, str]] = []

    def lines(self, kind: str, number: int) -> list[Line]:
        make = KINDS[kind]
        return [make(self, kind, index % self.count) for index in range(number)]

    def endpoint(self, index: int) -> Endpoint:
        return self.target.endpoint(ATTACKERS[index], SOURCES[index])

    def create(self, index: int) -> str:
        """The id of a new image of this attacker."""
        image = victim.create(self.endpoint(index))
        self.created.append((index, image))
        return image

    def clean(self) -> None:
        """Delete the images, except those that the service still takes for being uploaded."""
        for index, image in self.created:
            call(self.endpoint(index), "DELETE", f"/v2/images/{image}")

    def idle(self, kind: str, index: int) -> Line:
        return Line(kind, SOURCES[index])

    def half_head(self, kind: str, index: int) -> Line:
        return Line(kind, SOURCES[index], b"GET /v2/images HTTP/1.1\r\nHost: catal")

    def dripping_head(self, kind: str, index: int) -> Line:
        return Line(kind, SOURCES[index], b"GET / HTTP/1.1\r\nX-Long: ", b"a")

    def form(self, kind: str, index: int) -> Line:
        endpoint = self.anonymous(index)
        head = _head(endpoint, "POST", "/admin/login/", FORM, SMALL)
        return Line(kind, SOURCES[index], head + b"username=", b"a")

    def json(self, kind: str, index: int) -> Line:
        endpoint = self.anonymous(index)
        head = _head(endpoint, "POST", "/identity/v3/auth/tokens", JSON, SMALL)
        return Line(kind, SOURCES[index], head + b'{"auth": "', b"a")

    def upload(self, kind: str, index: int) -> Line:
        path = f"/v2/images/{self.create(index)}/file"
        head = _head(self.endpoint(index), "PUT", path, victim.OCTETS, LARGE)
        return Line(kind, SOURCES[index], head, b"a")

    def anonymous(self, index: int) -> Endpoint:
        return replace(self.endpoint(index), headers={})

    def download(self, kind: str, index: int) -> Line:
        endpoint = self.endpoint(index)
        if index not in self.unread:
            self.unread[index] = self.create(index)
            path = f"/v2/images/{self.unread[index]}/file"
            put = endpoint.request(
                "PUT", path, headers=victim.OCTETS, body=bytes(NEVER_READ)
            )
            exchange(endpoint, put).expect(204, "the upload of an attacker")
        path = f"/v2/images/{self.unread[index]}/file"
        return Line(kind, SOURCES[index], endpoint.request("GET", path), reads=False)


def _head(
    endpoint: Endpoint, method: str, path: str, kind: dict[str, str], size: int
) -> bytes:
    """The head of a request that announces a body."""
    headers = kind | {"Content-Length": str(size)}
    return endpoint.request(method, path, headers=headers)


KINDS: dict[str, Callable[[Plan, str, int], Line]] = {
    "idle": Plan.idle,
    "half-head": Plan.half_head,
    "dripping-head": Plan.dripping_head,
    "form": Plan.form,
    "json": Plan.json,
    "upload": Plan.upload,
    "download": Plan.download,
}


class Attack:
    """The process that holds the connections, from now on until ``end`` is called."""

    def __init__(self, endpoint: Endpoint, lines: Sequence[Line]) -> None:
        self._pipe, theirs = SPAWN.Pipe()
        self._process = SPAWN.Process(
            target=_hold,
            args=((endpoint.host, endpoint.port), lines, theirs),
            daemon=True,
        )
        self._process.start()
        theirs.close()
        self._pipe.recv()  # all of them have been opened

    def end(self) -> Report:
        self._pipe.send("end")
        report: Report = self._pipe.recv()
        self._process.join()
        return report


class Holder:
    """The loop of the process: opens, sends a byte now and then, and notes what is ended."""

    def __init__(self, address: tuple[str, int], lines: Sequence[Line]) -> None:
        self.address, self.report = address, Report()
        self.selector = selectors.EpollSelector()
        self.slots: list[dict[socket.socket, bytes]] = [{} for _ in range(SLOTS)]
        self.unread: list[socket.socket] = []
        for number, line in enumerate(lines):
            self.open(line, number % SLOTS)

    def open(self, line: Line, slot: int) -> None:
        sock = socket.socket()
        if not line.reads:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.setblocking(False)
        sock.bind((line.source, 0))
        sock.connect_ex(self.address)
        self.selector.register(sock, selectors.EVENT_WRITE, (line, slot))

    def run(self, pipe: Connection) -> None:
        pipe.send("opened")
        slot, due = 0, time.monotonic()
        while not pipe.poll():
            for key, events in self.selector.select(max(due - time.monotonic(), 0)):
                sock: socket.socket = key.fileobj  # type: ignore[assignment]
                if events & selectors.EVENT_WRITE:
                    self.begin(sock, *key.data)
                else:
                    self.receive(sock, *key.data)
            if time.monotonic() >= due:
                self.drip(slot)
                slot, due = (slot + 1) % SLOTS, due + DRIP / SLOTS
        pipe.send(self.report)

    def begin(self, sock: socket.socket, line: Line, slot: int) -> None:
        if sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self.report.refused[line.kind] += 1
            self.forget(sock, slot)
            return
        with contextlib.suppress(OSError):
            sock.send(line.opening)
        if line.drip:
            self.slots[slot][sock] = line.drip
        if line.reads:
            self.selector.modify(sock, selectors.EVENT_READ, (line, slot))
        else:
            self.selector.unregister(sock)
            self.unread.append(sock)

    def receive(self, sock: socket.socket, line: Line, slot: int) -> None:
        try:
            data = sock.recv(4096)
        except OSError:
            data = b""
        if data.startswith(b"HTTP/"):
            self.report.answers[f"{line.kind} {data[9:12].decode()}"] += 1
        if not data:
            self.report.ended[line.kind] += 1
            self.forget(sock, slot)

    def forget(self, sock: socket.socket, slot: int) -> None:
        self.slots[slot].pop(sock, None)
        self.selector.unregister(sock)
        sock.close()

    def drip(self, slot: int) -> None:
        for sock, byte in self.slots[slot].items():
            with contextlib.suppress(OSError):
                sock.send(byte)


def _hold(address: tuple[str, int], lines: Sequence[Line], pipe: Connection) -> None:
    raise_limit(len(lines) + 100)
    Holder(address, lines).run(pipe)
