"""The connections of a web process, without a server."""

from __future__ import annotations

import logging
import selectors
import socket
import sys
from collections.abc import Iterator

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]
from gunicorn.workers import gthread  # type: ignore[import-untyped]

from imagecatalog.web import memory, worker
from imagecatalog.web.connection import Connection
from imagecatalog.web.worker import WebWorker

PART = b"POST /v2/images HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n{"


@pytest.fixture
def web_worker() -> Iterator[WebWorker]:
    log = logging.getLogger(__name__)
    web_worker = WebWorker(0, 0, [], None, 0, Config(), log)
    web_worker.poller = selectors.DefaultSelector()
    yield web_worker
    web_worker.poller.close()
    web_worker.tmp.close()


def test_a_connection_that_exceeds_the_bytes_of_a_process_is_not_forgotten(
    web_worker: WebWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(worker, "HELD_LIMIT", len(PART) - 1)
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        conn = Connection(
            web_worker.cfg, near, ("192.0.2.1", 1), ("127.0.0.1", 2), None
        )
        web_worker.nr_conns = 1
        far.sendall(PART)

        web_worker._on_readable(conn, near)

        is_polled = near in {
            key.fileobj for key in web_worker.poller.get_map().values()
        }
        assert is_polled or web_worker.nr_conns == 0


def test_long_requests_give_way_to_short_ones_early(
    web_worker: WebWorker, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = sys.getswitchinterval()
    monkeypatch.setattr(gthread.ThreadWorker, "init_process", lambda self: None)
    monkeypatch.setattr(memory, "limit_heaps", lambda: None)
    try:
        web_worker.init_process()

        assert sys.getswitchinterval() < before / 2
    finally:
        sys.setswitchinterval(before)
