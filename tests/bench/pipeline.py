"""The least that transfers cost: a process that digests and stores uploads, and sends a file.

It has no routing, sign-in, inspection or database. So it shows what the machine can do.
"""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from queue import Queue
from threading import Thread

from tests.bench.wire import BLOCK

DEPTH = 4  # blocks between two threads
ANSWER = b"HTTP/1.1 204 No Content\r\n\r\n"
HEAD = "HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n"


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Receive uploads into ``folder`` in a process of its own, and send files; yields the URL."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        host, port = listener.getsockname()
        process = multiprocessing.get_context("spawn").Process(
            target=answer_each, args=(listener, folder / "bare"), daemon=True
        )
        process.start()
    try:
        yield f"http://{host}:{port}"
    finally:
        process.terminate()
        process.join()


def answer_each(listener: socket.socket, path: Path) -> None:
    """Answer one request after another.

    Each upload goes into the same file, which is removed. ``GET /FILE`` gets the content of a file.
    """
    while True:
        sock, _ = listener.accept()
        with sock:
            head, first = read_head(sock)
            if head.startswith(b"GET "):
                send(sock, Path(head.split()[1].decode()))
                continue
            store(path, body(sock, head, first))
            sock.sendall(ANSWER)
        path.unlink()


def read_head(sock: socket.socket) -> tuple[bytes, bytes]:
    """The head of a request, and the bytes of its body that came with the head."""
    head = b""
    while b"\r\n\r\n" not in head:
        head += sock.recv(1 << 16)
    head, _, first = head.partition(b"\r\n\r\n")
    return head, first


def send(sock: socket.socket, path: Path) -> None:
    """Send a file, with nothing but sendfile."""
    with path.open("rb") as file:
        left = os.stat(file.fileno()).st_size
        sock.sendall(HEAD.format(left).encode())
        while left:
            left -= os.sendfile(sock.fileno(), file.fileno(), None, left)


def body(sock: socket.socket, head: bytes, first: bytes) -> Iterator[bytes]:
    """The body of a request with Content-Length, in blocks of 1 MiB."""
    left = int(head.lower().partition(b"content-length: ")[2].split()[0]) - len(first)
    yield first
    while left > 0:
        block = sock.recv(min(left, BLOCK), socket.MSG_WAITALL)
        if not block:
            return
        left -= len(block)
        yield block


def store(path: Path, blocks: Iterator[bytes]) -> None:
    """Write the blocks durably, while MD5 and SHA-512 are computed in a thread each."""
    hashes = [hashlib.new(name, usedforsecurity=False) for name in ("md5", "sha512")]
    with path.open("wb", buffering=0) as file:
        with ExitStack() as threads:
            feeds = [threads.enter_context(fed(one.update)) for one in hashes]
            for block in blocks:
                for feed in feeds:
                    feed.put(block)
                file.write(block)
        os.fsync(file.fileno())


@contextmanager
def fed(use: Callable[[bytes], object]) -> Iterator[Queue[bytes | None]]:
    """A queue whose blocks a thread uses, until the context ends."""
    queue: Queue[bytes | None] = Queue(DEPTH)

    def run() -> None:
        while (block := queue.get()) is not None:
            use(block)

    thread = Thread(target=run)
    thread.start()
    try:
        yield queue
    finally:
        queue.put(None)
        thread.join()
