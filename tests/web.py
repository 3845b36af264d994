"""Web servers of somebody else's, on loopback: what locations and copies point to."""

from __future__ import annotations

import hashlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import partial
from http.server import (
    BaseHTTPRequestHandler,
    SimpleHTTPRequestHandler,
    ThreadingHTTPServer,
)
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit


@contextmanager
def serving(
    handler: Callable[..., BaseHTTPRequestHandler], tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """Run a server that answers by this handler, by HTTPS if ``tls`` is given.

    Yields its URL, without a slash at the end.
    """
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    if tls:
        server.socket = tls.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=[0.01])
    thread.start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class Quiet(SimpleHTTPRequestHandler):
    """Files."""

    def log_message(self, *args: Any) -> None:
        pass


def serving_folder(folder: Path) -> Any:
    """A context manager with the URL of a server that gives what is in a folder."""
    return serving(partial(Quiet, directory=str(folder)))


class Slow(Quiet):
    """Says that it has MiBs of data, and sends the second one when it is told to."""

    size = 4 << 20
    began = threading.Event()
    go_on = threading.Event()

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(self.size))
        self.end_headers()

    def do_GET(self) -> None:
        self.do_HEAD()
        self.wfile.write(bytes(1 << 20))
        self.began.set()
        self.go_on.wait(60)
        with suppress(OSError):  # nobody may be listening any more
            self.wfile.write(bytes(self.size - (1 << 20)))


def described(data: bytes) -> dict[str, Any]:
    """What an image service tells of a public raw image with this data."""
    return {
        "status": "active",
        "visibility": "public",
        "disk_format": "raw",
        "container_format": "bare",
        "size": len(data),
        "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(data).hexdigest(),
    }


def region(name: str, url: str, file: Path, username: str, password: str) -> str:
    """The setting of a service that may read the images of another; the file is written here."""
    file.write_text(json.dumps({"username": username, "password": password}))
    return f"{name}={url}?credentials={file}"


def allow(url: str) -> dict[str, str]:
    """The settings of a service that may fetch from this server."""
    return {
        "IMAGECATALOG_URL_ALLOWED_HOSTS": "127.0.0.1",
        "IMAGECATALOG_URL_ALLOWED_PORTS": str(urlsplit(url).port),
    }


def allow_in_process(settings: Any, url: str) -> None:
    """Let this process fetch from this server, for a test without a service of its own."""
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ("127.0.0.1",)
    settings.IMAGECATALOG_URL_ALLOWED_PORTS = (urlsplit(url).port,)


@contextmanager
def serving_new(folder: Path, files: dict[str, bytes]) -> Iterator[str]:
    """The URL of a server that gives these files, which are written to a new folder."""
    folder.mkdir()
    for name, data in files.items():
        (folder / name).write_bytes(data)
    with serving_folder(folder) as url:
        yield url


@contextmanager
def serving_files(folder: Path, settings: Any, **files: bytes) -> Iterator[str]:
    """Like ``serving_new``, of a server from which this process may fetch."""
    with serving_new(folder, files) as url:
        allow_in_process(settings, url)
        yield url
