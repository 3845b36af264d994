"""Threads that send the rest of downloads to clients, so that slow clients block no other thread.

Each store has one such thread. The thread that has handled the request is free for other requests.
"""

from __future__ import annotations

import selectors
import socket
import threading
from collections.abc import Callable
from contextlib import suppress
from contextvars import copy_context
from typing import Any, Final

from gunicorn.workers.gthread import (  # type: ignore[import-untyped]
    PollableMethodQueue,
)

from images import errors, min_rate
from images.http import connection

SENT_AT_ONCE: Final = 1 << 20  # bytes to one client, before the next client
CHECK_SECONDS: Final = 5.0
# Delivered bytes can be in buffers on the way, above all of a proxy. A slow client reads them
# from there at this rate (bytes a second).
BUFFERED: Final = 24 << 20  # bytes, at most
BUFFERED_RATE: Final = 100 << 10


class TooSlow(Exception):
    """The error for a client that reads its download too slowly."""


class Download:
    """A download in progress: the client's connection, and the data that is not sent yet."""

    def __init__(self, sock: socket.socket, blocks: Any, left: int) -> None:
        """Prepare to send ``left`` more bytes of the data ``blocks``, which ``close`` closes.

        Call this in the thread of the request: then log records of the download name the request.
        """
        self._sock, self._blocks, self._left = sock, blocks, left
        self.source: str = blocks.source
        self.can_go_on = False  # whether the connection takes requests afterwards
        self.log: Callable[[], None] | None = None  # the record of the request
        self.context = copy_context()  # names the request in log records
        self.sent = 0
        self._delivered, self._unsent_before = 0, connection.unsent(sock)
        self._began = self._progress_at = self._checked_at = min_rate.clock()

    @property
    def is_whole(self) -> bool:
        """Whether all bytes of the download were sent."""
        return not self._left

    def send(self) -> None:
        """Send as many bytes as the client accepts without waiting, at most 1 MiB.

        Raises OSError if the connection fails, StoreError if the store fails.
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
        """Return whether the client reads too slowly: nothing for too long, or too little on average.

        Too long is a minute, and additionally the time that a slow client needs for the bytes in
        buffers between service and client. Time in which the client has received all that was sent
        does not count: then the download waits for the store. ``now`` is the present ``min_rate.clock``.
        """
        unsent = connection.unsent(self._sock)
        delivered = self.sent + self._unsent_before - unsent
        if not unsent:
            self._began += now - self._checked_at
        if delivered > self._delivered or not unsent:
            self._delivered, self._progress_at = delivered, now
        self._checked_at = now
        expected = (now - self._began - min_rate.PAUSE) * min_rate.SLOWEST
        pause = min_rate.PAUSE + min(self._delivered, BUFFERED) / BUFFERED_RATE
        return now - self._progress_at > pause or delivered < expected

    def progress(self, now: float) -> str:
        """Return a sentence for the log: how many bytes the client has read in which time.

        ``now`` is the present ``min_rate.clock``.
        """
        return (
            f"{self._delivered} bytes were read in {now - self._began:.0f} s, the last of "
            f"them {now - self._progress_at:.0f} s ago, and {self._left} bytes are left"
        )

    def close(self) -> None:
        """Close the file or connection from which the download's data is read."""
        self._blocks.close()


Finished = Callable[[Any, Download, Exception | None], None]


class Senders:
    """The ``Sender`` threads, one for each store: a store that hangs delays no download from others."""

    def __init__(self, finished: Finished) -> None:
        """Prepare the collection; its threads are started when they are needed.

        At the end of each download they call ``finished`` with the connection, the download, and
        the error that has ended the download, or None.
        """
        self._finished = finished
        self._senders: dict[str, Sender] = {}
        self._lock = threading.Lock()

    def add(self, conn: Any, download: Download) -> None:
        """Give a download and its connection ``conn`` to the thread of its store.

        Any thread can call this.
        """
        with self._lock:
            sender = self._senders.get(download.source)
            if sender is None:
                sender = self._senders[download.source] = Sender(self._finished)
                sender.start()
        sender.add(conn, download)


class Sender:
    """A thread that sends several downloads at once, a part of each in turn."""

    def __init__(self, finished: Finished) -> None:
        """Prepare the thread, which calls ``finished`` when a download has ended.

        ``finished`` gets the connection, the download, and the error that has ended the download,
        or None if all bytes were sent.
        """
        self._finished = finished
        self._poller = selectors.DefaultSelector()
        self._calls = PollableMethodQueue()
        self._next_check = 0.0

    def start(self) -> None:
        """Start the thread of this sender."""
        self._calls.init()
        self._poller.register(self._calls.fileno(), selectors.EVENT_READ)
        threading.Thread(target=self._run, name="sender", daemon=True).start()

    def add(self, conn: Any, download: Download) -> None:
        """Give a download and its connection to this sender's thread, and return at once.

        Any thread can call this. The calling thread must not use the connection afterwards.
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
            now = min_rate.clock()
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
