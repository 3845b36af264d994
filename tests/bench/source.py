"""A web server with noise, from which services import an image."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from tests import web
from tests.bench.target import pattern
from tests.bench.wire import BLOCK


class Noise(web.Quiet):
    """Answers with noise: as many bytes as the path names, such as ``/1048576``."""

    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "application/octet-stream")
        self.send_header("Content-Length", self.path[1:])
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        for _ in range(int(self.path[1:]) // BLOCK):
            self.wfile.write(pattern())


@contextmanager
def serving(size: int) -> Iterator[str]:
    """Serve ``size`` bytes of noise on a free port of 127.0.0.1; yields the URL."""
    with web.serving(Noise) as url:
        yield f"{url}/{size}"
