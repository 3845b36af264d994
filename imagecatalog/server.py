"""How gunicorn serves the catalogue: `gunicorn -c python:imagecatalog.server imagecatalog.wsgi`.

Its settings, and what its processes do at the turns of their life; no rules of the catalogue.
"""

from __future__ import annotations

import _thread
import gc
import logging
import os
import socket
import struct
import threading
import time
from pathlib import Path
from typing import Any

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "imagecatalog.settings")

from django.conf import settings  # noqa: E402

from images.http import client_address, connection  # noqa: E402

wsgi_app = "imagecatalog.wsgi"
worker_class = (
    "gthread"  # uploads block a thread; Django under ASGI would spool them first
)
workers = settings.IMAGECATALOG_WORKERS
# So many slow transfers a process carries; unused ones cost nothing. They are more than the
# turns of images.transfers.concurrency, or the web servers of others could hold them all.
threads = 32
keepalive = 60  # s
timeout = 120  # s without a sign of life of a process's main thread, not of a request
graceful_timeout = settings.IMAGECATALOG_GRACE_SECONDS
preload_app = True  # the code is in memory once
control_socket_disable = True  # it would be one for all servers of a user
worker_tmp_dir = "/dev/shm" if Path("/dev/shm").is_dir() else None
header_map = "dangerous"  # pre_request is stricter
# Who may say X-Forwarded-For may say X-Forwarded-Proto; else gunicorn believes this machine.
if settings.IMAGECATALOG_TRUSTED_PROXIES:
    forwarded_allow_ips = ",".join(
        client_address.as_peers(settings.IMAGECATALOG_TRUSTED_PROXIES)
    )
forwarder_headers = ""  # no header may say which path this is
# Without the user name: that is whatever an unknown client puts into its header.
access_log_format = " ".join(
    (
        f"%({{{client_address.CLIENT}}}e)s %(t)s",
        '"%(r)s" %(s)s %({content-length}o)s %(M)s ms %({x-openstack-request-id}o)s',
    )
)
accesslog = "-" if settings.IMAGECATALOG_ACCESS_LOG else None

# Tokens and v1's headers, one for each property, are large. (reuse_port stays off: with it a
# second server could take the same port unnoticed.)
limit_request_line = 8190
limit_request_fields = 256
limit_request_field_size = 1 << 16

SILENCE = 60  # s that a client may neither send nor take a byte
MARGIN = min(5.0, graceful_timeout / 2)  # s to clean up in, once bodies are not awaited


def when_ready(server: Any) -> None:
    """Connections inherit the patience of the socket that accepts them.

    gunicorn has none: a client that stops within a header, or does not take what it asked
    for, would hold a thread for ever. (Bodies have their own, shorter one.)
    """
    limit = struct.pack("@ll", SILENCE, 0)
    for listener in server.LISTENERS:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, limit)
    gc.freeze()  # or the first collection in a worker would copy what is shared


def pre_request(worker: Any, request: Any) -> None:
    """Drop headers with an underscore in their name, except those of API v1.

    The application could not tell it from a hyphen: such a name could forge another header,
    which a proxy in front has seen to.
    """
    if any("_" in name for name, _ in request.headers):
        request.headers = [
            (name, value)
            for name, value in request.headers
            if "_" not in name or name.startswith("X-IMAGE-META-")
        ]


def post_worker_init(worker: Any) -> None:
    logging.getLogger("gunicorn.error").addFilter(_is_news)
    # A page of a list is tens of thousands of objects and hardly a cycle among them.
    gc.set_threshold(100_000, 20, 20)
    threading.Thread(target=_end_in_time, args=[worker], daemon=True).start()


def worker_int(worker: Any) -> None:
    """A quick stop was asked for, like by Ctrl-C."""
    # gunicorn calls it in a signal handler. Another signal, which interrupts this one, would
    # wait for the lock that this one holds: so that is taken elsewhere.
    _thread.start_new_thread(connection.stop, ())


def _end_in_time(worker: Any) -> None:
    """Before gunicorn kills the process let uploads that still run fail in good order.

    A thread, as gunicorn has no hook for the signal, and a handler may hardly do anything.
    """
    while worker.alive and worker.ppid == os.getppid():
        time.sleep(0.5)
    deadline = time.monotonic() + max(graceful_timeout - MARGIN - 0.5, 0)
    _refuse_connections(worker, deadline)
    time.sleep(max(deadline - time.monotonic(), 0))
    connection.stop()


def _refuse_connections(worker: Any, deadline: float) -> None:
    """gunicorn keeps the socket while requests run: clients would wait for nothing."""
    while worker._accepting and time.monotonic() < deadline:
        time.sleep(0.1)
    for listener in worker.sockets:
        listener.close()


def _is_news(record: logging.LogRecord) -> bool:
    """A client that fell silent for too long is no error of the service."""
    return not (record.exc_info and isinstance(record.exc_info[1], BlockingIOError))
