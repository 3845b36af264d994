"""The database goes away, refuses to write, keeps a row locked, or drops its connections."""

from __future__ import annotations

import contextlib
import json
import threading
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import psycopg

from tests import servers
from tests.attack import victim
from tests.attack.figures import Figure
from tests.attack.member import JSON, PATCH
from tests.attack.target import ATTACKERS, SOURCES, Target
from tests.bench.wire import BenchError, Endpoint, exchange

CLIENTS = 16
WAIT, RECOVERY, LINES = 6, 3, 30  # s, s, lines of the log
BEFORE = 3.0  # s of requests before and after
DROP_OTHERS = """
    SELECT pg_terminate_backend(pid) FROM pg_stat_activity
    WHERE pid <> pg_backend_pid() AND datname = current_database()
"""
READ_ONLY = "default_transaction_read_only"


@dataclass(frozen=True)
class Answer:
    """The answer to a request: when that was sent, how long it took, status and Retry-After."""

    at: float
    seconds: float
    status: int
    retry_after: str = ""

    @property
    def end(self) -> float:
        return self.at + self.seconds


class Clients:
    """Threads that repeat requests, each its own one, while the context lasts."""

    def __init__(self, endpoint: Endpoint, requests: Sequence[bytes]) -> None:
        self.endpoint, self.answers = endpoint, list[Answer]()
        self._stop = threading.Event()
        self._threads = [
            threading.Thread(target=self._run, args=(request,)) for request in requests
        ]

    def __enter__(self) -> Clients:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *error: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _run(self, request: bytes) -> None:
        while not self._stop.wait(0.05):
            self.answers.append(self._ask(request))

    def _ask(self, request: bytes) -> Answer:
        began = time.monotonic()
        try:
            answer = exchange(self.endpoint, request)
        except (OSError, BenchError):
            return Answer(began, time.monotonic() - began, 0)
        retry = answer.headers.get("retry-after", "")
        return Answer(began, time.monotonic() - began, answer.status, retry)


def judged(
    name: str, answers: Sequence[Answer], restored: float, ok: int = 200
) -> list[Figure]:
    """Figures that hold of any fault of the database which ended at the time ``restored``."""
    counts = Counter(f"{it.status}" for it in answers)
    note = ", ".join(f"{count} {status}" for status, count in sorted(counts.items()))
    longest = max((it.seconds for it in answers), default=float("inf"))
    back = [it.end for it in answers if it.status == ok and it.end > restored]
    bare = [it for it in answers if it.status == 503 and not it.retry_after]
    wrong = [it for it in answers if it.status not in (200, 201, 503)]
    return [
        Figure(f"{name}: longest answer", longest, WAIT, "s"),
        Figure(f"{name}: neither success nor 503", len(wrong), 0, note=note),
        Figure(f"{name}: 503 without Retry-After", len(bare), 0),
        Figure(
            f"{name}: first success after the return",
            min(back, default=float("inf")) - restored,
            RECOVERY,
            "s",
        ),
    ]


def measure(
    target: Target, database: servers.StoppablePostgres, seconds: float
) -> list[Figure]:
    """Each fault in turn, on one service that is never restarted."""
    image = victim.create(target.endpoint(ATTACKERS[0], SOURCES[0]))
    return [
        *_away(target, database, seconds),
        *_read_only(target),
        *_locked(target, image),
        *_dropped(target),
    ]


def _away(
    target: Target, database: servers.StoppablePostgres, seconds: float
) -> list[Figure]:
    endpoint = target.victim()
    lines = _log_lines(target)
    with Clients(endpoint, [endpoint.request("GET", "/v2/images")] * CLIENTS) as it:
        time.sleep(BEFORE)
        database.stop()
        time.sleep(seconds)
        database.start()
        restored = time.monotonic()
        time.sleep(RECOVERY + BEFORE)
    name = f"database away, {target.way}"
    more = _log_lines(target) - lines
    return [
        *judged(name, it.answers, restored),
        Figure(f"{name}: lines of the log", more, LINES),
    ]


def _read_only(target: Target) -> list[Figure]:
    """What writes is refused, what reads is not; connections that saw it are no worse after it."""
    endpoint = target.victim()
    create = endpoint.request(
        "POST", "/v2/images", headers=JSON, body=json.dumps(victim.DOCUMENT).encode()
    )
    read = endpoint.request("GET", "/v2/images")
    with Clients(endpoint, [create] * 8) as writes, Clients(endpoint, [read] * 8) as it:
        time.sleep(BEFORE)
        with _connected(target) as connection:
            name = f'"{connection.info.dbname}"'
            connection.execute(f"ALTER DATABASE {name} SET {READ_ONLY} = on".encode())
            connection.execute(DROP_OTHERS)
        time.sleep(2 * BEFORE)
        with _connected(target) as connection:
            connection.execute(f"SET {READ_ONLY} = off".encode())
            connection.execute(f"ALTER DATABASE {name} RESET {READ_ONLY}".encode())
        restored = time.monotonic()
        time.sleep(RECOVERY + BEFORE)
    return [
        *judged(
            f"database read-only, writes, {target.way}", writes.answers, restored, 201
        ),
        *judged(f"database read-only, reads, {target.way}", it.answers, restored),
    ]


def _locked(target: Target, image: str) -> list[Figure]:
    """A row of the attacker's is locked from outside, while it asks for that row again and again."""
    attacker, other = target.endpoint(ATTACKERS[0], SOURCES[0]), target.victim()
    change = json.dumps([{"op": "replace", "path": "/name", "value": "x"}]).encode()
    path = f"/v2/images/{image}"
    patch = attacker.request("PATCH", path, headers=PATCH, body=change)
    read = other.request("GET", "/v2/images")
    with contextlib.ExitStack() as stack:
        connection = stack.enter_context(_connected(target))
        with connection.transaction():
            row = "SELECT 1 FROM images_image WHERE id = %s FOR UPDATE"
            assert connection.execute(row, [image]).fetchone()
            writes = stack.enter_context(Clients(attacker, [patch] * 4 * CLIENTS))
            reads = stack.enter_context(Clients(other, [read] * 2))
            time.sleep(4 * BEFORE)
        restored = time.monotonic()
        time.sleep(RECOVERY + BEFORE)
    return [
        *judged(f"row locked, its owner, {target.way}", writes.answers, restored),
        *judged(f"row locked, another's list, {target.way}", reads.answers, restored),
    ]


def _dropped(target: Target) -> list[Figure]:
    endpoint = target.victim()
    with Clients(endpoint, [endpoint.request("GET", "/v2/images")] * CLIENTS) as it:
        time.sleep(BEFORE)
        with _connected(target) as connection:
            connection.execute(DROP_OTHERS)
        restored = time.monotonic()
        time.sleep(RECOVERY + BEFORE)
    return judged(f"connections dropped, {target.way}", it.answers, restored)


@contextlib.contextmanager
def _connected(target: Target) -> Iterator[psycopg.Connection]:
    url = target.service.env["DATABASE_URL"]
    with psycopg.connect(url, autocommit=True) as connection:
        yield connection


def _log_lines(target: Target) -> int:
    return target.service.log.read_bytes().count(b"\n")
