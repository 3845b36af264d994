"""The gunicorn worker of a web process, whose threads are not occupied by slow clients.

The main thread receives requests, and ends connections, without blocking. A thread gets a
request when the request is whole; only the data of images is read by the thread.
"""

from __future__ import annotations

import errno
import selectors
import socket
import ssl
import time
from collections import defaultdict, deque
from collections.abc import Callable
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from gunicorn import sock as gunicorn_sock  # type: ignore[import-untyped]
from gunicorn.http import wsgi  # type: ignore[import-untyped]
from gunicorn.workers import gthread  # type: ignore[import-untyped]

from imagecatalog.web import memory, refusals
from imagecatalog.web.connection import Connection
from imagecatalog.web.fair_queue import FairQueue
from imagecatalog.web.sending import Download, Senders, TooSlow
from images.http import connection

HELD_LIMIT: Final = 32 << 20  # bytes of requests that are not answered, in one process
LINGER_SECONDS: Final = 5.0
LINGER_LIMIT: Final = 32 << 20  # bytes that a client can send after its last response
DISCARDED_AT_ONCE: Final = 1 << 18  # bytes
WAITING_PER_ACCEPT: Final = 64  # connections
SWEEP_SECONDS: Final = 1.0
RETURN_SECONDS: Final = 10.0  # between two returns of freed memory
RELIEF: Final = 64  # of the places or bytes, one part in so many is freed at once
NO_FILES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
NO_CLIENT: Final = {errno.EAGAIN, errno.ECONNABORTED}


@cache
def _tls_context(cfg: Any) -> ssl.SSLContext:
    """Return the context with the certificate, read once by the parent of all workers.

    A worker that replaces another one gets the same certificate: the files may have been
    removed, or only one of them renewed.
    """
    context: ssl.SSLContext = gunicorn_sock.ssl_context(cfg)
    return context


class WebWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, whose threads get whole requests."""

    alive: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[Connection, None] = {}  # the oldest first
        self._held = 0  # bytes
        self._next_sweep = self._next_return = 0.0
        self._tls = _tls_context(self.cfg) if self.cfg.is_ssl else None
        self._discarded = bytearray(DISCARDED_AT_ONCE)
        self._senders = Senders(self._is_sent)
        self._requests = FairQueue()

    def init_process(self) -> None:
        """Let the threads of this process share heaps, and serve."""
        memory.limit_heaps()
        super().init_process()

    # Receiving

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting connections; when the process ends, close the listening sockets.

        The kernel resets connections that are in the queue of a socket when it is closed, so all
        of them are accepted first. gunicorn would let the queue grow while requests run.
        """
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        for listener in self.sockets:
            while self._accept_one(listener):
                pass
            listener.close()

    def accept(self, listener: Any) -> None:
        """Accept connections, and read what has arrived on them.

        A round of events takes longer the more connections wait for bytes. If each round accepted
        one connection, the queue of the socket would overflow, and the kernel would ignore clients
        for a second or more. If few wait, the other web processes get their part of a burst.
        """
        for _ in range(1 + len(self._waiting) // WAITING_PER_ACCEPT):
            if not self._accept_one(listener):
                return

    def _accept_one(self, listener: Any) -> bool:
        """Accept a connection, and read what has arrived on it; return whether there was one."""
        if self.nr_conns >= self.worker_connections - 1:
            self._free_places()
        try:
            sock, client = listener.accept()
        except OSError as error:
            if error.errno in NO_FILES:
                self._free_places()
            elif error.errno not in NO_CLIENT:
                raise
            return False
        self.nr_conns += 1
        try:
            server = listener.getsockname()
            conn = Connection(self.cfg, sock, client, server, self._tls)
        except OSError:
            self.nr_conns -= 1
            sock.close()
            return True
        self._on_readable(conn, sock)
        return True

    def _on_readable(self, conn: Connection, _sock: Any) -> None:
        if not conn.is_new and conn not in self._waiting:
            return  # ended by an earlier event of the same round
        conn.is_new = False
        try:
            self._linger(conn) if conn.is_lingering else self._receive(conn)
        except Exception:
            self.log.exception("A connection failed.")
            self._close(conn)

    def _receive(self, conn: Connection) -> None:
        data = conn.receive()
        while data:
            if self._add(conn, data):
                return
            # The poller does not see bytes that TLS has already decrypted.
            data = conn.receive() if conn.is_secure else None
        if data is None:
            self._wait(conn)
        elif conn.request is not None:
            conn.give_back()  # a thread answers that the body is cut off
            self._dispatch(conn)
        else:
            self._close(conn)

    def _add(self, conn: Connection, data: bytes) -> bool:
        """Add bytes of a request, and hand it to a thread if it is complete.

        Returns False if the connection must wait for more bytes; True if the request was handed
        to a thread or refused, or the connection was closed to free memory.
        """
        self._held += len(data)
        try:
            is_ready = conn.add(data)
        except refusals.OVER_LIMIT as error:
            self._refuse(conn, error)
            return True
        if is_ready:
            self._dispatch(conn)
        elif self._held > HELD_LIMIT:
            self._wait(conn)  # only connections that wait can be ended
            self._free_bytes()
            return conn not in self._waiting
        return is_ready

    def _dispatch(self, conn: Connection) -> None:
        self._leave(conn)
        self._requests.add(conn, time.monotonic())
        self._start_requests()

    def _start_requests(self) -> None:
        now = time.monotonic()
        self._requests.measure(now, time.process_time())
        while conn := self._requests.take(now):
            self.enqueue_req(conn)

    def _wait(self, conn: Connection) -> None:
        if conn not in self._waiting:
            self._waiting[conn] = None
            callback = partial(self._on_readable, conn)
            self.poller.register(conn.sock, selectors.EVENT_READ, callback)

    def _leave(self, conn: Connection) -> None:
        if conn in self._waiting:
            del self._waiting[conn]
            self.poller.unregister(conn.sock)

    # In a thread

    def handle_request(self, req: Any, conn: Connection) -> bool:
        """Answer a request in a thread; return whether the connection stays open."""
        self.cfg.pre_request(self, req)
        began = datetime.now()
        resp, environ = wsgi.create(req, conn.sock, conn.client, conn.server, self.cfg)
        environ["wsgi.multithread"] = True
        environ[connection.CLOSE] = resp.force_close
        environ[connection.SEND_REST] = conn.send_rest
        self._count_request()
        if not self.alive or not self.cfg.keepalive:
            resp.force_close()
        try:
            self._respond(conn, resp, environ, began)
        except OSError:
            raise
        except Exception as error:
            if not resp.headers_sent:
                raise
            self.log.exception("Error handling request")
            raise StopIteration from error
        finally:
            self.cfg.post_request(self, req, environ, resp)
        return not resp.should_close()

    def _count_request(self) -> None:
        self.nr += 1
        if self.nr >= self.max_requests and self.alive:
            self.log.info("Autorestarting worker after current request.")
            self.alive = False

    def _respond(
        self, conn: Connection, resp: Any, environ: dict[str, Any], began: datetime
    ) -> None:
        def log() -> None:
            self.log.access(resp, resp.req, environ, datetime.now() - began)

        content = self.wsgi(environ, resp.start_response)
        try:
            for block in content:
                resp.write(block)
            resp.close()
        finally:
            if conn.download is None:
                log()
            else:
                conn.download.log = log
            if hasattr(content, "close"):
                content.close()

    # Ending

    def finish_request(self, conn: Connection, fs: Any) -> None:
        """Keep or close a connection after a request, once its download has been sent.

        ``fs`` is the future of ``handle_request``.
        """
        self._held -= conn.held
        conn.held = 0
        self._requests.end(conn)
        self._start_requests()
        can_go_on = not fs.cancelled() and fs.exception() is None and fs.result()
        if conn.download is None:
            self._go_on(conn, can_go_on)
        else:
            conn.download.can_go_on = can_go_on
            self._senders.add(conn, conn.download)

    def _is_sent(
        self, conn: Connection, download: Download, error: Exception | None
    ) -> None:
        """Clean up after a download, and return its connection to the main thread.

        Runs in the thread that sends downloads. ``error`` is why the download was aborted, or
        None.
        """
        conn.download = None
        download.close()
        if download.log is not None:
            download.log()
        if isinstance(error, TooSlow):
            connection.discard_unsent(conn.sock)
            self.log.warning("A download was ended: %s", error)
        elif error is not None and not isinstance(error, OSError):
            self.log.error("A download was aborted: %s", error)
        can_go_on = download.can_go_on and error is None
        self.method_queue.defer(self._go_on, conn, can_go_on)

    def _go_on(self, conn: Connection, can_go_on: bool) -> None:
        try:
            self._keep(conn) if can_go_on else self._end(conn)
        except Exception:
            self.log.exception("A connection failed.")
            self._close(conn)

    def _keep(self, conn: Connection) -> None:
        seconds = self.cfg.keepalive if self.alive else gthread.STOP_KEEPALIVE_LINGER
        conn.restart()
        conn.deadline = time.monotonic() + seconds
        conn.sock.setblocking(False)
        # A client may send its next request before it has the response.
        data = conn.parser.unreader.take_buffered()
        if data and self._add(conn, data):
            return
        if conn.is_secure:
            self._receive(conn)
        else:
            self._wait(conn)

    def _end(self, conn: Connection) -> None:
        """Close a connection in such a way that the client can still read its last response."""
        if conn.is_finished():
            self._close(conn)
            return
        try:
            conn.sock.setblocking(False)
            conn.sock.shutdown(socket.SHUT_WR)
        except OSError:
            self._close(conn)
            return
        conn.is_lingering = True
        seconds = LINGER_SECONDS if self.alive else gthread.STOP_KEEPALIVE_LINGER
        conn.deadline = time.monotonic() + seconds
        self._linger(conn)

    def _linger(self, conn: Connection) -> None:
        """Discard what the client still sends, and close the connection when the client ends it.

        The kernel would answer bytes after a close with a reset, and the client would lose
        the response.
        """
        try:
            count = conn.sock.recv_into(self._discarded)
        except BlockingIOError:
            self._wait(conn)
            return
        except OSError:
            count = 0
        conn.discarded += count
        if count and conn.discarded <= LINGER_LIMIT:
            self._wait(conn)
        else:
            self._close(conn)

    def _refuse(self, conn: Connection, error: Exception) -> None:
        self._leave(conn)
        self.handle_error(conn.request, conn.sock, conn.client, error)
        self._end(conn)

    def _close(self, conn: Connection) -> None:
        self._leave(conn)
        self._held -= conn.held
        conn.held = 0
        self.nr_conns -= 1
        conn.close()

    # Limits

    def murder_keepalived(self, force: bool = False) -> None:
        """Close waiting connections whose deadline is over, at most once a second.

        Also return freed memory to the system. The client of an incomplete request gets an error
        response. ``force`` closes all waiting connections, at once.
        """
        now = time.monotonic()
        if now < self._next_sweep and not force:
            return
        self._next_sweep = now + SWEEP_SECONDS
        if now >= self._next_return:
            self._next_return = now + RETURN_SECONDS
            memory.return_freed()
        for conn in list(self._waiting):
            if not force and conn.deadline > now:
                continue
            if conn.has_begun and not conn.is_lingering:
                self._refuse(conn, refusals.TooSlow())
            else:
                self._close(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        """Let all connections without a running request end by ``deadline``."""
        for conn in self._waiting:
            conn.deadline = min(conn.deadline, deadline)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait for events and handle them.

        The wait is at most 0.1 s if the process is stopping, or if a request waits for a thread.
        """
        is_short = self._requests or not self.alive
        super().wait_for_and_dispatch_events(0.1 if is_short else timeout)
        self._start_requests()

    def _free_places(self) -> None:
        self._evict(lambda conn: 1, max(self.worker_connections // RELIEF, 1))

    def _free_bytes(self) -> None:
        self._evict(lambda conn: conn.held, HELD_LIMIT // RELIEF)

    def _evict(self, weight: Callable[[Connection], int], excess: int) -> None:
        """Close waiting connections until ``excess`` is freed, measured by ``weight``.

        Each time the address with the largest total loses the connection that has waited for
        longest.
        """
        holders: dict[str, deque[Connection]] = defaultdict(deque)
        totals: dict[str, int] = defaultdict(int)
        for conn in self._waiting:
            if weight(conn):
                holders[conn.address].append(conn)
                totals[conn.address] += weight(conn)
        while excess > 0 and totals:
            largest = max(totals, key=totals.__getitem__)
            conn = holders[largest].popleft()
            totals[largest] -= weight(conn)
            excess -= weight(conn)
            if not holders[largest]:
                del totals[largest]
            if conn.has_begun and not conn.is_lingering:
                self.handle_error(
                    conn.request, conn.sock, conn.client, refusals.TooManyConnections()
                )
            self._close(conn)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: Exception) -> None:
        """Answer a request that gunicorn cannot handle, and log it. The connection then ends."""
        refusals.answer(self, req, client, addr, exc)
