"""The gunicorn worker of a web process, whose threads do not wait for slow clients.

The main thread receives requests and closes connections, without blocking. A thread gets a request
when it has arrived completely. Only the data of images is read by the thread itself.
"""

from __future__ import annotations

import errno
import queue
import selectors
import socket
import ssl
import time
from collections import defaultdict, deque
from collections.abc import Callable
from concurrent import futures
from datetime import datetime
from functools import cache, partial
from typing import Any, Final

from gunicorn import sock as gunicorn_sock  # type: ignore[import-untyped]
from gunicorn.http import wsgi  # type: ignore[import-untyped]
from gunicorn.workers import gthread  # type: ignore[import-untyped]

from imagecatalog.web import measuring, memory, refusals, supervision
from imagecatalog.web.connection import Connection
from imagecatalog.web.fair_queue import FairQueue
from imagecatalog.web.response import Response
from imagecatalog.web.sending import Download, Senders, TooSlow
from images.http import connection
from images.http.request_url import ROUTE

HELD_LIMIT: Final = 32 << 20  # bytes of requests that are not answered, in one process
LINGER_SECONDS: Final = 5.0
LINGER_LIMIT: Final = 32 << 20  # bytes that a client can send after its last response
DISCARDED_AT_ONCE: Final = 1 << 18  # bytes
WAITING_PER_ACCEPT: Final = 64  # connections
SWEEP_SECONDS: Final = 1.0
RETURN_SECONDS: Final = 10.0  # between two returns of freed memory
RELIEF: Final = 64  # 1/64 of the connections or bytes is freed at once
NO_FILES: Final = {errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM}
NO_CLIENT: Final = {errno.EAGAIN, errno.ECONNABORTED}


@cache
def _tls_context(cfg: Any) -> ssl.SSLContext:
    """Return the TLS context with the certificate, which is read only once.

    The parent of all workers reads it. A worker that is started later to replace another gets the
    same certificate: the files may have been removed by then, or only one of them renewed.
    """
    context: ssl.SSLContext = gunicorn_sock.ssl_context(cfg)
    return context


class WebWorker(gthread.ThreadWorker):  # type: ignore[misc]
    """gunicorn's threaded worker, whose threads get requests that have arrived completely."""

    alive: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._waiting: dict[Connection, None] = {}  # the oldest first
        self._held = 0  # bytes
        self._next_sweep = self._next_return = self._next_notice = 0.0
        self._tls = _tls_context(self.cfg) if self.cfg.is_ssl else None
        self._discarded = bytearray(DISCARDED_AT_ONCE)
        self._senders = Senders(self._is_sent)
        self._requests = FairQueue()

    def init_process(self) -> None:
        """Limit the number of memory heaps of this process, and serve requests until it ends."""
        memory.limit_heaps()
        super().init_process()

    def get_thread_pool(self) -> futures.ThreadPoolExecutor:
        """Return the threads that handle requests (called by gunicorn)."""
        pool: futures.ThreadPoolExecutor = super().get_thread_pool()
        # A thread that takes a request from a SimpleQueue wakes up another one, for nothing.
        pool._work_queue = queue.Queue()  # type: ignore[assignment]
        return pool

    # Receiving

    def set_accept_enabled(self, enabled: bool) -> None:
        """Start or stop accepting connections; close the listening sockets of a stopping process.

        Before closing, accept all connections that are in the queues of the sockets, because the
        kernel would reset them. gunicorn itself would let the queues grow until the running
        requests have ended.
        """
        super().set_accept_enabled(enabled)
        if self.alive:
            return
        for listener in self.sockets:
            while self._accept_one(listener):
                pass
            listener.close()

    def accept(self, listener: Any) -> None:
        """Accept one or more connections, and read the bytes that have arrived on them.

        If many connections wait for bytes, a round of the event loop takes longer, and more
        connections are accepted at once: otherwise the queue of the socket could overflow, and the
        kernel would ignore clients for a second or more. If few wait, one connection is accepted,
        and other web processes get the next one.
        """
        for _ in range(1 + len(self._waiting) // WAITING_PER_ACCEPT):
            if not self._accept_one(listener):
                return

    def _accept_one(self, listener: Any) -> bool:
        """Accept a connection and read from it; return False if no connection was accepted."""
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
        """Add bytes to the request of a connection, and give a complete request to a thread.

        Returns False if the connection must wait for more bytes, else True: a thread got the
        request, the request was refused, or the connection was closed to free memory.
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
        conn.arrived_at = time.monotonic()
        self._requests.add(conn, conn.arrived_at)
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
        """Answer a request, in a thread; return True if the connection can take another request."""
        self.cfg.pre_request(self, req)
        began = datetime.now()
        resp, environ = wsgi.create(
            req, conn.sock, conn.client, conn.server, self.cfg, Response
        )
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
        path = environ["PATH_INFO"]  # before the application changes it

        def log() -> None:
            self.log.access(resp, resp.req, environ, datetime.now() - began)
            if resp.headers_sent:  # else `handle_error` answers
                seconds = time.monotonic() - conn.arrived_at
                route = environ.get(ROUTE, "")
                measuring.answered(
                    resp.req.method, path, resp.status_code, seconds, route
                )

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
        """Keep or close a connection after its request was handled (called in the main thread).

        If the response is a download, its rest is sent first, by another thread. ``fs`` is the
        future of ``handle_request``.
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
        """Finish a download that has ended, and give its connection back to the main thread.

        Closes the data, and logs the request. Runs in the thread that sends downloads. ``error`` is
        the error that has ended the download, or None if all bytes were sent.
        """
        conn.download = None
        download.close()
        if download.log is not None:
            download.log()
        if isinstance(error, TooSlow):
            connection.reset_at_close(conn.sock)
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
        """Close a connection in such a way that the client can still read the last response."""
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
        """Discard bytes that the client still sends; close the connection when the client does.

        Otherwise the kernel would answer these bytes with a reset, and the client would lose the
        response.
        """
        try:
            count = conn.sock.recv_into(self._discarded)
        except BlockingIOError:
            self._wait(conn)
            return
        except OSError:
            count = 0
        conn.discarded += count
        # There are no bytes either where reading was ended here, as when the service stops.
        if conn.discarded > LINGER_LIMIT or (
            not count and connection.is_open_at_client(conn.sock)
        ):
            self._reset(conn)
        elif count:
            self._wait(conn)
        else:
            self._close(conn)

    def _refuse(self, conn: Connection, error: Exception) -> None:
        self._leave(conn)
        self.handle_error(conn.request, conn.sock, conn.client, error)
        self._end(conn)

    def _reset(self, conn: Connection) -> None:
        """Close a connection, whose client may still be sending, with a TCP reset.

        Without the reset, a client whose bytes were all read could wait for two minutes.
        """
        connection.reset_at_close(conn.sock)
        self._close(conn)

    def _close(self, conn: Connection) -> None:
        self._leave(conn)
        self._held -= conn.held
        conn.held = 0
        self.nr_conns -= 1
        conn.close()

    # Limits

    def notify(self) -> None:
        """Tell gunicorn's main process that this process runs, at most once a second."""
        now = time.monotonic()
        if now >= self._next_notice:
            self._next_notice = now + SWEEP_SECONDS
            super().notify()

    def murder_keepalived(self, force: bool = False) -> None:
        """Close waiting connections that are past their deadline, at most once a second.

        A client whose request is incomplete gets an error response. ``force`` closes all waiting
        connections at once. The metrics of the process are also published, `serve` is told that
        the process runs, and every 10 seconds freed memory is returned to the operating system.
        """
        now = time.monotonic()
        if now < self._next_sweep and not force:
            return
        self._next_sweep = now + SWEEP_SECONDS
        # A connection that does not wait for bytes has a request that has arrived.
        arrived = self.nr_conns - len(self._waiting)
        queued = self._requests.count() + self.tpool._work_queue.qsize()
        measuring.publish(arrived - queued, queued)
        supervision.report()
        if now >= self._next_return:
            self._next_return = now + RETURN_SECONDS
            memory.return_freed()
        for conn in list(self._waiting):
            if not force and conn.deadline > now:
                continue
            if conn.has_begun and not conn.is_lingering:
                self._refuse(conn, refusals.TooSlow())
            elif conn.discarded:
                self._reset(conn)
            else:
                self._close(conn)

    def _cap_keepalive(self, deadline: float) -> None:
        """Limit the deadlines of all waiting connections to ``deadline`` (monotonic seconds)."""
        for conn in self._waiting:
            conn.deadline = min(conn.deadline, deadline)

    def wait_for_and_dispatch_events(self, timeout: float) -> None:
        """Wait up to ``timeout`` seconds for events, handle them, and start queued requests.

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
        """Close waiting connections until the sum of their weights is at least ``excess``.

        ``weight`` returns the weight of a connection. Each time, the client address with the
        largest total weight loses the connection that has waited for longest. A client whose
        request is incomplete gets an error response.
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
        """Send an error response to a request that did not reach Django, and log it.

        ``req`` is the request, or None if it could not be parsed; ``exc`` is the error.
        """
        refusals.answer(self, req, client, addr, exc)
