"""A telephone line between a client and the service: slow, and it can be cut."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from urllib.parse import urlsplit

from tests.servers import Service

BLOCK = 1 << 17  # bytes


class Line:
    """Close it at the end. ``rate``: so many bytes a second towards the service."""

    def __init__(self, service: Service, rate: float) -> None:
        parts = urlsplit(service.url)
        self._target = (parts.hostname, parts.port)
        self._rate = rate
        self._ends: set[socket.socket] = set()
        self._whole = True
        self._moving = threading.Event()
        self._moving.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = "http://{}:{}".format(*self._listener.getsockname())
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()
        self.cut()
        self._moving.set()

    def cut(self) -> None:
        """Break every connection, and all later ones, until it is mended."""
        self._whole = False
        for end in list(self._ends):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)

    def freeze(self) -> None:
        """Pass no more bytes on, and break no connection, until the line is mended."""
        self._moving.clear()

    def mend(self) -> None:
        self._whole = True
        self._moving.set()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                if not self._whole:
                    near.close()
                    continue
                far = socket.create_connection(self._target)
                for pair in ((near, far, self._rate), (far, near, 0)):
                    threading.Thread(target=self._pump, args=pair, daemon=True).start()

    def _pump(self, source: socket.socket, target: socket.socket, rate: float) -> None:
        self._ends |= {source, target}
        with contextlib.suppress(OSError):
            while block := source.recv(BLOCK):
                self._moving.wait()
                if not self._whole:
                    break
                target.sendall(block)
                if rate:
                    time.sleep(len(block) / rate)
        for end in (source, target):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
        self._ends.discard(source)
        source.close()
