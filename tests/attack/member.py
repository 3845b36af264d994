"""One member who sends whatever it may: what others notice of it, and what it leaves behind."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import os
import random
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import psycopg

from tests.attack import victim
from tests.attack.figures import Figure
from tests.attack.target import ATTACKERS, SOURCES, Target
from tests.bench.wire import BenchError, Endpoint, exchange, read_answer

SPAWN = multiprocessing.get_context("spawn")
LIST = 50  # ms, of another project's list at the 95th percentile
STEADY = 1.5  # at most so many times as long in the last third as in the first
QUOTA = 256  # MiB, the quota of the member
DATA = 2 * QUOTA  # MiB more: its images and its trash have a quota each
DATABASE = 1024  # MiB more
THREADS = 12
IMAGES = 40  # that a thread uses at a time
LARGE = os.urandom(30_000).hex()  # which the database cannot compress
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}
JSON = {"Content-Type": "application/json"}
CHUNKED = {"Transfer-Encoding": "chunked"}
TUS = {"Tus-Resumable": "1.0.0"}
MIB = 1 << 20
HELD = 30.0  # s that an upload is kept before its last chunk


class Member:
    """A thread of the member's: one request after the other, chosen at random."""

    def __init__(self, endpoint: Endpoint, seed: int) -> None:
        self.endpoint, self.dice = endpoint, random.Random(seed)
        self.images: list[str] = []
        self.said: Counter[str] = Counter()
        self.held: list[tuple[float, socket.socket]] = []
        self.verbs: list[Callable[[Member], None]] = [
            Member.create,
            Member.patch,
            Member.share,
            Member.tag,
            Member.resumable,
            Member.upload,
            Member.hold,
            Member.list,
            Member.history,
            Member.wrong_password,
            Member.odd_body,
            Member.delete,
        ]

    def run(self, stop: threading.Event) -> None:
        while not stop.is_set():
            verb = self.dice.choice(self.verbs)
            try:
                verb(self)
            except (OSError, BenchError, ValueError) as error:
                self.said[f"{verb.__name__}: {type(error).__name__}"] += 1
            self.let_go(time.monotonic())
        self.let_go(float("inf"))

    def send(
        self,
        method: str,
        path: str,
        body: bytes = b"",
        headers: Mapping[str, str] | None = None,
    ) -> str:
        """The value of Location, or the id in the answer; what became of it is counted."""
        request = self.endpoint.request(method, path, headers=headers, body=body)
        answer = exchange(self.endpoint, request)
        self.said[f"{answer.status}"] += 1
        if answer.status != 201:
            return ""
        return answer.headers.get("location", "").partition("/v2/")[2]

    def image(self) -> str:
        """The path of one of its images; it creates one where it has none."""
        if not self.images:
            self.create()
        return self.dice.choice(self.images or ["images/none"])

    def create(self) -> None:
        large = {f"p{number}": LARGE for number in range(4)}
        document = json.dumps(victim.DOCUMENT | large).encode()
        if path := self.send("POST", "/v2/images", document, JSON):
            self.images.append(path)
        if len(self.images) > IMAGES:
            self.images.pop(0)  # which stays in the catalogue

    def patch(self) -> None:
        value = f"{self.dice.random()}{LARGE}"
        change = [{"op": "add", "path": f"/p{self.dice.randrange(4)}", "value": value}]
        self.send("PATCH", f"/v2/{self.image()}", json.dumps(change).encode(), PATCH)

    def share(self) -> None:
        member = json.dumps({"member": f"project-{self.dice.random()}"}).encode()
        self.send("POST", f"/v2/{self.image()}/members", member, JSON)

    def tag(self) -> None:
        self.send("PUT", f"/v2/{self.image()}/tags/tag-{self.dice.random()}")

    def resumable(self) -> None:
        """Send a resumable upload one byte at a time."""
        size = {"Upload-Length": "50"}
        upload = self.send("POST", f"/v2/{self.image()}/uploads", headers=TUS | size)
        kind = {"Content-Type": "application/offset+octet-stream"}
        for offset in range(40 if upload else 0):
            at = TUS | kind | {"Upload-Offset": str(offset)}
            self.send("PATCH", f"/v2/{upload}", b"x", at)

    def upload(self) -> None:
        data = bytes(self.dice.randrange(8 * MIB))
        self.send("PUT", f"/v2/{self.image()}/file", data, victim.OCTETS)

    def hold(self) -> None:
        """Send a chunked upload up to its last chunk."""
        headers = victim.OCTETS | CHUNKED
        path = f"/v2/{self.image()}/file"
        sock = self.endpoint.connect()
        self.held.append((time.monotonic() + HELD, sock))
        sock.sendall(self.endpoint.request("PUT", path, headers=headers))
        sock.sendall(b"1000000\r\n" + bytes(16 * MIB) + b"\r\n")

    def let_go(self, now: float) -> None:
        for until, sock in self.held:
            if until < now:
                sock.close()
        self.held = [it for it in self.held if it[0] >= now]

    def list(self) -> None:
        self.send("GET", "/v2/images?limit=1000")

    def history(self) -> None:
        self.send("GET", f"/v2/{self.image()}/history?limit=1000")

    def wrong_password(self) -> None:
        user = {"name": ATTACKERS[0], "domain": {"id": "default"}, "password": "guess"}
        identity = {"methods": ["password"], "password": {"user": user}}
        document = json.dumps({"auth": {"identity": identity}}).encode()
        self.send("POST", "/identity/v3/auth/tokens", document, JSON)

    def odd_body(self) -> None:
        """Send more than a small body may have: at once, in chunks, or after a question."""
        body = b" " * ((64 << 10) + 1)
        way = self.dice.randrange(3)
        if way == 0:
            self.send("POST", "/v2/images", body, JSON)
            return
        headers = JSON | (CHUNKED if way == 1 else {"Expect": "100-continue"})
        framed = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body) if way == 1 else body
        if way == 2:
            headers |= {"Content-Length": str(len(body))}
        with self.endpoint.connect() as sock:
            sock.sendall(self.endpoint.request("POST", "/v2/images", headers=headers))
            sock.sendall(framed)
            self.said[f"{read_answer(sock).status}"] += 1

    def delete(self) -> None:
        image = self.image()
        self.send("DELETE", f"/v2/{image}")
        with contextlib.suppress(ValueError):
            self.images.remove(image)


def _attack(endpoint: Endpoint, pipe: Connection) -> None:
    stop = threading.Event()
    members = [Member(endpoint, seed) for seed in range(THREADS)]
    threads = [threading.Thread(target=it.run, args=(stop,)) for it in members]
    for thread in threads:
        thread.start()
    pipe.recv()
    stop.set()
    for thread in threads:
        thread.join()
    pipe.send(sum((it.said for it in members), Counter()))


def measure(target: Target, minutes: float) -> list[Figure]:
    """Let one member do what it wants for this time, while another project lists its images."""
    other = target.victim()
    for _ in range(25):
        victim.create(other)
    before = target.memory(), _database_size(target), _data_size(target)
    ours, theirs = SPAWN.Pipe()
    attacker = target.endpoint(ATTACKERS[0], SOURCES[0])
    process = SPAWN.Process(target=_attack, args=(attacker, theirs), daemon=True)
    process.start()
    watch = victim.Watch(other, size=0, path="/v2/images?limit=25")
    time.sleep(minutes * 60)
    seen = watch.end()
    after = target.memory(), _database_size(target), _data_size(target)
    ours.send("end")
    said: Counter[str] = ours.recv()
    process.join()
    memory, database, data = (new - old for new, old in zip(after, before, strict=True))
    name = f"a member, {target.way}"
    note = ", ".join(f"{count} {what}" for what, count in said.most_common())
    refusals = Counter(seen.failures)
    first = ", ".join(f"{count} {what}" for what, count in refusals.most_common(3))
    return [
        Figure(f"{name}: another's list, p95", seen.p95(), LIST, "ms"),
        Figure(f"{name}: last third to first", seen.growth(), STEADY, "times"),
        Figure(f"{name}: failures of another", refusals.total(), 0, note=first),
        Figure(f"{name}: slowest health check", seen.slowest_check(), 1, "s"),
        Figure(f"{name}: answers 500", said["500"], 0, note=note),
        Figure(f"{name}: database", database, DATABASE, "MiB more"),
        Figure(f"{name}: data folder", data, DATA, "MiB more"),
        Figure(f"{name}: memory", memory, 256, "MiB more"),
    ]


def _database_size(target: Target) -> float:
    with psycopg.connect(target.service.env["DATABASE_URL"]) as connection:
        row = connection.execute("SELECT pg_database_size(current_database())")
        return row.fetchone()[0] / MIB  # type: ignore[index]


def _data_size(target: Target) -> float:
    """MiB on disk below the data folder, while files come and go."""
    total = 0
    for path in Path(target.service.data_dir).rglob("*"):
        with contextlib.suppress(OSError):
            total += path.stat().st_blocks * 512
    return total / MIB
