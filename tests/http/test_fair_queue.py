"""The order in which the requests of clients get a thread."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]

from imagecatalog.web import fair_queue
from imagecatalog.web.connection import Connection
from imagecatalog.web.fair_queue import FairQueue

EAGER, OTHER = "192.0.2.1", "192.0.2.2"
NOW = 1000.0  # s

Connect = Callable[[str], Connection]


@pytest.fixture
def connect() -> Iterator[Connect]:
    with ExitStack() as stack:

        def connect(address: str) -> Connection:
            near, far = socket.socketpair()
            stack.enter_context(near)
            stack.enter_context(far)
            return Connection(Config(), near, (address, 1), ("127.0.0.1", 2), None)

        yield connect


@pytest.fixture
def busy() -> FairQueue:
    """A process that uses a whole processor."""
    busy = FairQueue()
    busy.measure(NOW - 1, 0.0)
    busy.measure(NOW, 1.0)
    return busy


def taken(queue: FairQueue, now: float = NOW) -> list[Connection]:
    return list(iter(lambda: queue.take(now), None))


def test_while_clients_compete_each_has_one_request_at_a_time(
    busy: FairQueue, connect: Connect
) -> None:
    eager = [connect(EAGER) for _ in range(3)]
    other = connect(OTHER)
    for conn in [*eager, other]:
        busy.add(conn, NOW)

    assert taken(busy) == [eager[0], other]
    busy.end(eager[0])
    assert taken(busy) == [eager[1]]


def test_requests_of_the_only_client_do_not_wait(
    busy: FairQueue, connect: Connect
) -> None:
    eager = [connect(EAGER) for _ in range(3)]
    for conn in eager:
        busy.add(conn, NOW)

    assert taken(busy) == eager


def test_no_request_waits_while_the_process_has_time(connect: Connect) -> None:
    idle = FairQueue()
    idle.measure(NOW - 1, 0.0)
    idle.measure(NOW, 0.01)
    conns = [connect(EAGER), connect(EAGER), connect(OTHER)]
    for conn in conns:
        idle.add(conn, NOW)

    assert sorted(map(id, taken(idle))) == sorted(map(id, conns))
    assert not idle


def test_a_client_that_has_sent_nothing_for_a_while_does_not_compete(
    busy: FairQueue, connect: Connect
) -> None:
    other = connect(OTHER)
    busy.add(other, NOW - fair_queue.COMPETING_SECONDS - 1)
    taken(busy)
    busy.end(other)
    eager = [connect(EAGER) for _ in range(2)]
    for conn in eager:
        busy.add(conn, NOW)

    assert taken(busy) == eager


def test_a_request_that_takes_long_does_not_count(
    busy: FairQueue, connect: Connect
) -> None:
    busy.add(connect(OTHER), NOW)
    eager = [connect(EAGER) for _ in range(2)]
    for conn in eager:
        busy.add(conn, NOW)
    taken(busy)

    assert taken(busy, NOW + fair_queue.COUNTED_SECONDS / 2) == []
    assert taken(busy, NOW + fair_queue.COUNTED_SECONDS) == [eager[1]]
