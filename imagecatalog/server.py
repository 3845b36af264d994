"""The gunicorn configuration: `gunicorn -c python:imagecatalog.server imagecatalog.wsgi`.

It has gunicorn's settings, and the functions (hooks) that gunicorn calls during the life of its
processes.
"""

from __future__ import annotations

import _thread
import gc
import logging
import os
import resource
import signal
import threading
import time
from datetime import timedelta
from pathlib import Path
from typing import Any

from imagecatalog import garbage

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")
garbage.collect_seldom()

from django.conf import settings
from django.utils.log import configure_logging
from gunicorn import glogging  # type: ignore[import-untyped]
from gunicorn.http import message  # type: ignore[import-untyped]

from imagecatalog.web import measuring, supervision
from imagecatalog.web.connection import limit_silence
from images import db, logs, process_metrics
from images.http import client_address, connection, expectation, request_head
from images.transfers import concurrency

wsgi_app = "imagecatalog.wsgi"
# An upload blocks a thread; Django under ASGI would spool the body before the view.
worker_class = "imagecatalog.web.worker.WebWorker"
workers = settings.IMAGECATALOG_WORKERS
# Unused threads cost nothing. images.transfers.concurrency limits how many transfers can use.
threads = 64
CONNECTIONS = 8192  # of one process
OTHER_FILES = 256
FILES = 2 * CONNECTIONS + OTHER_FILES  # a download has its connection and its file
_most_files = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
if not 0 <= _most_files < FILES:  # a negative number is no limit
    _most_files = FILES
worker_connections = max((_most_files - OTHER_FILES) // 2, threads + 1)
keepalive = 60  # s
timeout = 120  # s without a heartbeat of a main thread; does not limit requests
_grace = settings.IMAGECATALOG_GRACE_SECONDS
# `serve` also ends a gunicorn because another one serves in its place.
graceful_timeout = (
    max(_grace, settings.IMAGECATALOG_RELOAD_SECONDS)
    if supervision.IS_SUPERVISED
    else _grace
)
preload_app = True  # the processes share the code in memory
control_socket_disable = True  # all servers of a user would share one socket
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
header_map = "dangerous"  # `pre_request` filters headers more strictly
# Proxies that are trusted with X-Forwarded-For are also trusted with X-Forwarded-Proto. Without
# this setting gunicorn trusts clients on the same machine.
if settings.IMAGECATALOG_TRUSTED_PROXIES:
    forwarded_allow_ips = ",".join(
        client_address.as_peers(settings.IMAGECATALOG_TRUSTED_PROXIES)
    )
forwarder_headers = ""  # no header can change the path of a request
# Request id, user and project are in every record, see images.logs.
access_log_format = (
    f'%({{{client_address.CLIENT}}}e)s "%(r)s" %(s)s %({{content-length}}o)s %(M)s ms'
)
accesslog = "-" if settings.IMAGECATALOG_ACCESS_LOG else None
loglevel = settings.LOG_LEVEL.lower()
configure_logging(settings.LOGGING_CONFIG, settings.LOGGING)


class Logger(glogging.Logger):  # type: ignore[misc]
    """gunicorn's logger, which passes its records to the logging configuration of the service."""

    def access(
        self, resp: Any, req: Any, environ: dict[str, Any], request_time: timedelta
    ) -> None:
        """Log an answered request, unless it is a successful probe: those come every few seconds."""
        is_probe = req.method in ("GET", "HEAD") and req.path in measuring.PROBES
        has_failed = int(resp.status.split()[0]) >= 400
        if has_failed or not is_probe:
            super().access(resp, req, environ, request_time)

    def setup(self, cfg: Any) -> None:
        """Remove the handlers of gunicorn's loggers, so that the root logger writes the records."""
        super().setup(cfg)
        for log in (self.error_log, self.access_log):
            log.handlers.clear()
            log.propagate = True


logger_class = Logger

# Tokens are large, and API v1 has one header for each property. (reuse_port stays off, because a
# second server could otherwise listen on the same port unnoticed.)
# A filter by 1,000 ids has 39,000 characters.
limit_request_line = message.MAX_REQUEST_LINE = 1 << 17  # gunicorn stops at 8190
limit_request_fields = 256
limit_request_field_size = 1 << 16  # bytes of one; see web.connection for all

NOTICE = 0.5  # s after which the end of a process is noticed
MARGIN = min(5.0, _grace / 2)  # s for cleaning up after the last read of request bodies
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT, signal.SIGQUIT}


def on_starting(server: Any) -> None:
    """Have gunicorn's main process unblock the stop signals after each fork (gunicorn hook).

    The function ``pre_fork`` has blocked them before the fork.
    """
    os.register_at_fork(after_in_parent=_receive_signals)


def pre_fork(server: Any, worker: Any) -> None:
    """Block the stop signals until the new web process has its own handlers (gunicorn hook).

    Until then the process has the handlers of its parent. A signal would have no effect, and
    the process would serve until the parent kills it.
    """
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS)


def _receive_signals() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, STOP_SIGNALS)


def when_ready(server: Any) -> None:
    """Set timeouts on the listening sockets, which accepted connections inherit (gunicorn hook).

    gunicorn sets no timeouts: a client that stops within a header, or does not receive its
    response, would block a thread for ever. Request bodies have their own, shorter timeout.
    Also tells `serve` that gunicorn is ready.
    """
    for listener in server.LISTENERS:
        limit_silence(listener)
    # gunicorn would remove the files of Unix sockets that belong to its parent.
    server.systemd = all(isinstance(it, int) for it in server.cfg.address)
    gc.freeze()  # else the first collection in a worker would copy the shared memory
    supervision.report()


def pre_request(worker: Any, request: Any) -> None:
    """Check the head of a request, and remove headers with underscores (gunicorn hook).

    WSGI does not distinguish an underscore from a hyphen, so a client could forge a header that
    a proxy sets or removes. The headers ``X-IMAGE-META-…`` of API v1 keep their underscores.
    """
    request_head.check(request)
    expectation.defer(request)
    if any("_" in name for name, _ in request.headers):
        request.headers = [
            (name, value)
            for name, value in request.headers
            if "_" not in name or name.startswith("X-IMAGE-META-")
        ]


def post_request(worker: Any, request: Any, environ: Any, response: Any) -> None:
    """Remove the request from the log context of its thread when it has ended (gunicorn hook)."""
    logs.bind(logs.Context())


def post_worker_init(worker: Any) -> None:
    """Prepare a new web process before it answers requests (gunicorn hook).

    Sets its limits, metrics and logging, and starts the threads that wait for its shutdown.
    """
    _receive_signals()
    db.limit_waiting()
    process_metrics.start()
    logging.getLogger("gunicorn.error").addFilter(_is_news)
    concurrency.share(worker.cfg.threads, worker.worker_connections)
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if 0 <= now < _most_files:
        resource.setrlimit(resource.RLIMIT_NOFILE, (_most_files, most))
    threading.Thread(target=_end_in_time, args=[worker], daemon=True).start()
    if supervision.IS_SUPERVISED:
        threading.Thread(target=_announce_stop, daemon=True).start()


def worker_int(worker: Any) -> None:
    """Stop reading request bodies when a quick stop is requested, as by Ctrl-C (gunicorn hook)."""
    # gunicorn calls this hook in a signal handler. The handler of a second signal would wait
    # for ever for a lock that the interrupted one holds, so another thread takes the lock.
    _thread.start_new_thread(connection.stop, ())


def _announce_stop() -> None:
    """Wait until the command `serve` stops the service, then let the health probes fail.

    This function runs in a thread.
    """
    from images.operations import health  # has models, which need Django's set-up

    supervision.wait_for_stop()
    health.announce_stop()


def _end_in_time(worker: Any) -> None:
    """Wait until the process is told to stop; kill the process when its grace period is over.

    Shortly before, running uploads fail with an error response. This function runs in a thread,
    because gunicorn has no hook for the signal, and a signal handler can do very little.
    """
    while worker.alive and worker.ppid == os.getppid():
        time.sleep(NOTICE)
    began = time.monotonic() - NOTICE
    if supervision.IS_SUPERVISED:
        # The whole service stops, or only this gunicorn because of a reload.
        supervision.wait_for_stop(graceful_timeout - _grace)
        began = time.monotonic() - NOTICE
    time.sleep(max(began + _grace - MARGIN - time.monotonic(), 0))
    connection.stop()
    time.sleep(MARGIN)
    worker.log.warning("%s connections are cut off", worker.nr_conns)
    os._exit(0)


def _is_news(record: logging.LogRecord) -> bool:
    """Return whether a record of gunicorn is to be logged (a filter of its logger).

    False for timeouts of clients, and for errors that were logged already.
    """
    error = record.exc_info[1] if record.exc_info else None
    timeouts = BlockingIOError, TimeoutError  # without TLS, and with it
    return not (isinstance(error, timeouts) or getattr(error, "logged", False))
