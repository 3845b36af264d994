"""Threads that send the rest of downloads, one for each store, however slowly clients read."""

from __future__ import annotations

import fcntl
import selectors
import socket
import struct
import termios
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final

from gunicorn.workers.gthread import (  # type: ignore[import-untyped]
    PollableMethodQueue,
)

from images import errors, min_rate

SENT_AT_ONCE: Final = 1 << 20  # bytes; then the next client gets some
CHECK_SECONDS: Final = 5.0
# What a client's machine has taken can wait there, above all in a proxy, for the client to read
# it at this rate (bytes a second).
BUFFERED: Final = 24 << 20  # bytes, at most
BUFFERED_RATE: Final = 100 << 10


class TooSlow(Exception):
    """A client reads its download too slowly."""


class Download:
    """The part of an image's data that a response still lacks, and the client's connection."""

    def __init__(self, sock: socket.socket, blocks: Any, left: int) -> None:
        """Prepare to send ``left`` more bytes of ``blocks``, which ``close`` closes.

        Runs in the thread of the request, whose log context it keeps.
        """
        self._sock, self._blocks, self._left = sock, blocks, left
        self.source: str = blocks.source
        self.can_go_on = False  # whether the connection takes requests afterwards
        self.log: Callable[[], None] | None = None  # the record of the request
        self.context = copy_context()  # names the request in log records
        self.sent = 0
        self._delivered, self._unread_before = 0, _unread(sock)
        self._began = self._progress_at = time.monotonic()

    @property
    def is_whole(self) -> bool:
        """Whether all bytes were sent."""
        return not self._left

    def send(self) -> None:
        """Send what the client takes at once, up to 1 MiB.

        Raises OSError if the connection fails, StoreError if the store does.
        """
        with suppress(BlockingIOError):
            sent = self._blocks.send_to(self._sock, min(self._left, SENT_AT_ONCE))
            if not sent:
                raise errors.StoreError(
                    f"The store ended the data {self._left} bytes early."
                )
            self._left -= sent
            self.sent += sent

    def is_too_slow(self, now: float) -> bool:
        """Return whether the client has read nothing for too long, or far too little so far.

        Too long is a minute, and in addition the time for which a slow client can be busy with
        delivered bytes that are still in buffers on the way.
        """
        delivered = self.sent + self._unread_before - _unread(self._sock)
        if delivered > self._delivered:
            self._delivered, self._progress_at = delivered, now
        expected = (now - self._began - min_rate.PAUSE) * min_rate.SLOWEST
        pause = min_rate.PAUSE + min(self._delivered, BUFFERED) / BUFFERED_RATE
        return now - self._progress_at > pause or delivered < expected

    def progress(self, now: float) -> str:
        """Return a sentence about what the client has read so far."""
        return (
            f"{self._delivered} bytes were read in {now - self._began:.0f} s, the last of "
            f"them {now - self._progress_at:.0f} s ago, and {self._left} bytes are left"
        )

    def close(self) -> None:
        """Close the source of the data."""
        self._blocks.close()


def _unread(sock: socket.socket) -> int:
    """Return how many bytes are in the send buffer of the socket: the client lacks them."""
    count: int = struct.unpack("i", fcntl.ioctl(sock, termios.TIOCOUTQ, bytes(4)))[0]
    return count


Finished = Callable[[Any, Download, Exception | None], None]


class Senders:
    """A sender for each store, so that one whose file system hangs stops no other downloads."""

    def __init__(self, finished: Finished) -> None:
        """Prepare senders, which call ``finished`` as ``Sender`` does."""
        self._finished = finished
        self._senders: dict[str, Sender] = {}
        self._lock = threading.Lock()

    def add(self, conn: Any, download: Download) -> None:
        """Let the sender of its store send a download. Any thread can call this."""
        with self._lock:
            sender = self._senders.get(download.source)
            if sender is None:
                sender = self._senders[download.source] = Sender(self._finished)
                sender.start()
        sender.add(conn, download)


class Sender:
    """A thread that sends the rest of downloads, in turn a part of each."""

    def __init__(self, finished: Finished) -> None:
        """Prepare the thread, which calls ``finished`` for each download that ends.

        The arguments are the connection, the download, and an error, or None if all bytes were
        sent.
        """
        self._finished = finished
        self._poller = selectors.DefaultSelector()
        self._calls = PollableMethodQueue()
        self._next_check = 0.0

    def start(self) -> None:
        """Start the thread."""
        self._calls.init()
        self._poller.register(self._calls.fileno(), selectors.EVENT_READ)
        threading.Thread(target=self._run, name="sender", daemon=True).start()

    def add(self, conn: Any, download: Download) -> None:
        """Hand over a connection, on which this sender's thread sends the rest of a download.

        Returns at once. Any thread can call this; it must not use the connection afterwards.
        """
        self._calls.defer(self._add, conn, download)

    def _add(self, conn: Any, download: Download) -> None:
        conn.sock.setblocking(False)
        self._poller.register(conn.sock, selectors.EVENT_WRITE, (conn, download))

    def _run(self) -> None:
        while True:
            for key, _ in self._poller.select(CHECK_SECONDS):
                if key.data is None:
                    self._calls.run_callbacks(key.fileobj)
                else:
                    self._send(*key.data)
            now = time.monotonic()
            if now >= self._next_check:
                self._next_check = now + CHECK_SECONDS
                self._end_slow_ones(now)

    def _send(self, conn: Any, download: Download) -> None:
        try:
            download.send()
        except Exception as error:  # this thread must not end
            self._end(conn, download, error)
        else:
            if download.is_whole:
                self._end(conn, download, None)

    def _end_slow_ones(self, now: float) -> None:
        for key in list(self._poller.get_map().values()):
            if key.data is not None and key.data[1].is_too_slow(now):
                conn, download = key.data
                self._end(conn, download, TooSlow(download.progress(now)))

    def _end(self, conn: Any, download: Download, error: Exception | None) -> None:
        self._poller.unregister(conn.sock)
        download.context.run(self._finished, conn, download, error)
