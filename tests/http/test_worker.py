"""The connections of a web process, without a server."""

from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Iterator

import pytest
from gunicorn.config import Config  # type: ignore[import-untyped]

from imagecatalog.web import worker
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
