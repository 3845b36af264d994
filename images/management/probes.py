"""The management listener of `serve`: probes, status and metrics on an address of their own.

It runs in threads of the process that supervises the service, so that API requests never delay it.
"""

from __future__ import annotations

import logging
import socket
import sys
import threading
import time
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Final

import orjson
from django.conf import settings
from django.db import Error, connections
from prometheus_client import CONTENT_TYPE_LATEST

from images import outages
from images.operations import health, metrics, overview, readiness

log = logging.getLogger(__name__)
access_log = logging.getLogger("gunicorn.access")  # that of the requests to the API

JSON: Final = "application/json"
TEXT: Final = "text/plain; charset=utf-8"
COMPONENTS: Final = ("web", "database", "worker", "store")
CLIENT_SECONDS: Final = 10.0  # that a client may take to send its request

Answer = tuple[int, str, bytes]


@dataclass
class Service:
    """The state of the service that its probes report.

    ``web_runs`` says whether gunicorn runs, ``web_serves`` whether it also accepts requests, and
    ``stops`` whether the service is being stopped. ``certificate_expiry`` is when its TLS
    certificate expires (Unix time); None without TLS.
    """

    web_runs: bool = True
    web_serves: bool = False
    stops: bool = False
    certificate_expiry: float | None = None


def start(listener: socket.socket, service: Service) -> None:
    """Start a thread that answers the requests to the management listener."""
    # Read the version now: the setting reads it only once, and a checkout can change later.
    str(settings.IMAGECATALOG_VERSION)
    server = _Server(listener, service)
    threading.Thread(target=server.serve_forever, name="probes", daemon=True).start()


class _Server(ThreadingHTTPServer):
    """An HTTP server for a socket that is already open and listening."""

    daemon_threads = True

    def __init__(self, listener: socket.socket, service: Service) -> None:
        super().__init__(listener.getsockname()[:2], _Handler, bind_and_activate=False)
        self.socket.close()
        self.socket, self.service = listener, service

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Log an error in a request, unless the client has disconnected."""
        if not isinstance(sys.exc_info()[1], OSError):
            log.exception("a request of %s failed", client_address)


class _Handler(BaseHTTPRequestHandler):
    """The HTTP handler for the requests of one connection to the management listener."""

    server: _Server
    timeout = CLIENT_SECONDS

    def do_GET(self) -> None:
        """Send the response to a GET request: the document for its path."""
        self._answer()

    def do_HEAD(self) -> None:
        """Send the response to a HEAD request: as for GET, but without a body."""
        self._answer()

    def log_message(self, format: str, *args: Any) -> None:
        """Log nothing, because probes come every few seconds. ``_answer`` logs those that fail."""

    def _answer(self) -> None:
        began = time.monotonic()
        code, kind, body = answer(self.path.partition("?")[0], self.server.service)
        self.send_response(code)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        if code >= 400 and settings.IMAGECATALOG_ACCESS_LOG:
            client, ms = self.address_string(), (time.monotonic() - began) * 1000
            line = '%s "%s" %s %s %.0f ms'
            access_log.info(line, client, self.requestline, code, len(body), ms)


def answer(path: str, service: Service) -> Answer:
    """Return the status code, media type and body of the response to GET on a path.

    The paths are ``/livez``, ``/readyz``, ``/status`` and ``/metrics``; others are 404. A path
    whose response needs the database, which ``/livez`` does not, is 503 without it.
    """
    try:
        return _answer(path, service)
    except Error as error:
        outages.record(error)
        return 503, TEXT, outages.sentence(error).encode()
    except OSError:
        log.exception("the answer to %s failed", path)
        return 503, TEXT, b"The service failed. Its log names the reason."
    finally:
        connections.close_all()


def _answer(path: str, service: Service) -> Answer:
    if path == "/livez":
        runs = service.web_runs
        return (200, TEXT, b"OK") if runs else (503, TEXT, b"No web server.")
    if path == "/readyz":
        problems = _problems(service)
        code = 503 if any(problems.values()) else 200
        return code, JSON, orjson.dumps(_document(problems, code == 200))
    if path == "/status":
        health.leave_pool()
        return 200, JSON, orjson.dumps(overview.catalogue_overview())
    if path == "/metrics":
        health.leave_pool()
        problems = _problems(service)
        works = {name: not problems[name] for name in COMPONENTS}
        return 200, CONTENT_TYPE_LATEST, metrics.text(works, service.certificate_expiry)
    return 404, TEXT, b"The paths are /livez, /readyz, /status and /metrics."


def _problems(service: Service) -> dict[str, str | None]:
    return {
        "web": None if service.web_serves else "The web server does not serve.",
        "stopping": health.STOPPING if service.stops else None,
        **readiness.problems(),
    }


def _document(problems: dict[str, str | None], is_ready: bool) -> dict[str, Any]:
    checks = {
        name: {"status": "fail" if problem else "pass", "output": problem or ""}
        for name, problem in problems.items()
    }
    return {"status": "pass" if is_ready else "fail", "checks": checks}
