"""Downloads that one thread sends, without a server."""

from __future__ import annotations

import itertools
import os
import queue
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from imagecatalog.web import sending
from imagecatalog.web.sending import BUFFERED_RATE, Download, Sender, Senders, TooSlow
from images import errors, min_rate
from images.stores.local import LocalStore

DATA = os.urandom(8 << 20)
KEY = f"ab/{'a' * 8}-{'b' * 4}-{'c' * 4}-{'d' * 4}-{'e' * 12}.{'f' * 32}"
Finished = queue.SimpleQueue[Any]


@pytest.fixture
def finished() -> Finished:
    return queue.SimpleQueue()


@pytest.fixture
def sender(finished: Finished, monkeypatch: pytest.MonkeyPatch) -> Sender:
    monkeypatch.setattr(sending, "CHECK_SECONDS", 0.05)
    sender = Sender(lambda *ended: finished.put(ended))
    sender.start()
    return sender


@pytest.fixture
def pair() -> Iterator[tuple[socket.socket, socket.socket]]:
    listener = socket.create_server(("127.0.0.1", 0))
    far = socket.create_connection(listener.getsockname())
    near, _ = listener.accept()
    with listener, far, near:
        yield near, far


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore("local", tmp_path)
    store.put(KEY, [DATA])
    return store


@pytest.fixture
def download(pair: tuple[socket.socket, socket.socket], store: LocalStore) -> Download:
    """A download of DATA that no sender knows, by a socket that does not block."""
    near, _ = pair
    near.setblocking(False)
    return Download(near, store.open(KEY), len(DATA))


@pytest.fixture
def begin(
    sender: Sender, pair: tuple[socket.socket, socket.socket], store: LocalStore
) -> Callable[..., None]:
    def begin(start: int = 0, left: int = len(DATA)) -> None:
        near, _ = pair
        download = Download(near, store.open(KEY, start), left)
        sender.add(SimpleNamespace(sock=near), download)

    return begin


def test_a_client_gets_all_bytes(
    begin: Callable[..., None],
    finished: Finished,
    pair: tuple[socket.socket, socket.socket],
) -> None:
    begin(5, len(DATA) - 5)

    received = b""
    while len(received) < len(DATA) - 5:
        received += pair[1].recv(1 << 20)

    assert received == DATA[5:]
    assert finished.get(timeout=60)[2] is None


def test_data_that_is_shorter_than_announced_is_an_error(
    begin: Callable[..., None],
    finished: Finished,
) -> None:
    begin(len(DATA) - 9, 10)

    assert isinstance(finished.get(timeout=60)[2], errors.StoreError)


def test_a_client_that_goes_away_ends_its_download(
    begin: Callable[..., None],
    finished: Finished,
    pair: tuple[socket.socket, socket.socket],
) -> None:
    pair[1].close()
    begin()

    assert isinstance(finished.get(timeout=60)[2], OSError)


def test_a_client_that_does_not_read_is_ended(
    begin: Callable[..., None],
    finished: Finished,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sending.min_rate, "PAUSE", -1.0)
    monkeypatch.setattr(sending, "BUFFERED", 0)
    begin()

    assert isinstance(finished.get(timeout=60)[2], TooSlow)


def test_a_store_that_hangs_holds_no_download_of_another(
    store: LocalStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = LocalStore("other", tmp_path / "other")
    other.put(KEY, [DATA])
    hanging, release = threading.Event(), threading.Event()
    real = os.sendfile

    def sendfile(sock: int, file: int, position: int, count: int) -> int:
        if os.readlink(f"/proc/self/fd/{file}") == str(store.root / KEY):
            hanging.set()
            release.wait()
        return real(sock, file, position, count)

    monkeypatch.setattr(os, "sendfile", sendfile)
    finished: Finished = queue.SimpleQueue()
    senders = Senders(lambda *ended: finished.put(ended))
    pairs = socket.socketpair(), socket.socketpair()
    for (near, _), source in zip(pairs, (store, other), strict=True):
        download = Download(near, source.open(KEY), 10)
        senders.add(SimpleNamespace(sock=near), download)
    assert hanging.wait(timeout=60)

    ended = finished.get(timeout=60)
    release.set()
    also_ended = finished.get(timeout=60)
    for sock in itertools.chain(*pairs):
        sock.close()

    assert [it[1].source for it in (ended, also_ended)] == ["other", "local"]


def test_what_the_kernel_has_but_the_client_does_not_counts_as_unread(
    pair: tuple[socket.socket, socket.socket], download: Download
) -> None:
    _, far = pair
    for _ in range(20):
        download.send()
    now = min_rate.clock()

    # The buffers of both kernels hold megabytes, but the client has taken none of them.
    assert download.sent > 1 << 20
    assert download.is_too_slow(now + min_rate.PAUSE + len(DATA) / min_rate.SLOWEST)
    far.recv(1)
    assert not download.is_too_slow(now)


def test_a_client_that_has_read_much_may_pause_longer(
    pair: tuple[socket.socket, socket.socket], download: Download
) -> None:
    near, far = pair
    near.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 16)
    far.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 16)
    began = min_rate.clock()
    while download.sent < len(DATA) // 2:
        download.send()
        far.recv(1 << 20)
    for _ in range(20):
        download.send()  # fills the buffers
    assert not download.is_too_slow(min_rate.clock())

    assert not download.is_too_slow(began + min_rate.PAUSE + 20)
    assert download.is_too_slow(began + min_rate.PAUSE + 1 + len(DATA) / BUFFERED_RATE)


def test_it_is_not_the_clients_fault_when_the_store_sends_nothing(
    download: Download,
) -> None:
    an_hour_later = min_rate.clock() + 3600
    assert not download.is_too_slow(an_hour_later)

    for _ in range(20):
        download.send()
    assert not download.is_too_slow(an_hour_later + 1)
    assert download.is_too_slow(an_hour_later + 3600)
