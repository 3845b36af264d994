"""The connections of a web process, without a server."""

from __future__ import annotations

import logging
import selectors
import socket
from collections.abc import Iterator

import pytest
from django.db import connection
from gunicorn.config import Config  # type: ignore[import-untyped]

from imagecatalog.web import measuring, worker
from imagecatalog.web.connection import Connection
from imagecatalog.web.worker import WebWorker
from images import process_metrics
from images.transfers import concurrency
from images.transfers.places import Place

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


@pytest.mark.parametrize(
    ("path", "interface"),
    [
        ("/v2/images", "v2"),
        ("/v2.15/images", "v2"),
        ("/v2", "v2"),
        ("/v1.1/images/detail", "v1"),
        ("/catalog/v1/quotas", "catalog"),
        ("/identity/v3/auth/tokens", "identity"),
        ("/admin/", "admin"),
        ("/readyz", "probe"),
        ("/versions", "other"),
        ("/v2images", "other"),
        ("", "other"),
    ],
)
def test_a_path_belongs_to_one_of_few_interfaces(path: str, interface: str) -> None:
    assert measuring.interface(path) == interface


@pytest.mark.django_db
def test_a_web_process_publishes_its_requests_transfers_and_connections(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    shown: dict[tuple[str, ...], float] = {}

    def show(name: str, value: float, *labels: str) -> None:
        shown[name, *labels] = value

    monkeypatch.setattr(process_metrics, "show", show)
    shares = concurrency.shares()
    shares.take(Place("192.0.2.1", "a"))

    measuring.publish(3, 2)

    assert shown["http_requests_in_progress",] == 3
    assert shown["http_requests_waiting",] == 2
    assert shown["client_transfers_running", "thread"] == 1
    assert shown["client_transfers_running", "connection"] == 0
    assert shown["client_transfers_limit", "thread"] == shares.places
    if connection.vendor == "postgresql":
        assert shown["database_pool_connections", "used"] == 1
        assert shown["database_pool_waiting",] == 0
        assert shown["database_pool_limit",] >= 1
