"""A web server with one file of noise, from which services import an image."""

from __future__ import annotations

import http.server
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from tests.bench.target import pattern
from tests.bench.wire import BLOCK


@contextmanager
def serving(size: int) -> Iterator[str]:
    """Serve ``size`` bytes of noise on a free port of 127.0.0.1; yields the URL."""

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self.send_response(200)
            self.send_header("Content-Type", "application/octet-stream")
            self.send_header("Content-Length", str(size))
            self.end_headers()

        def do_GET(self) -> None:
            self.do_HEAD()
            for _ in range(size // BLOCK):
                self.wfile.write(pattern())

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/noise.img"
        finally:
            server.shutdown()
