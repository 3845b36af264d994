"""A response to a client, as the web process writes it to the connection.

This module depends on internals of the gunicorn version that pyproject.toml names.
"""

from __future__ import annotations

from gunicorn import util  # type: ignore[import-untyped]
from gunicorn.http import wsgi  # type: ignore[import-untyped]


class Response(wsgi.Response):  # type: ignore[misc]
    """gunicorn's response, which sends its head together with the first block of its body.

    gunicorn sends the head alone, so the client wakes up for it, and then for the body.
    """

    headers_sent: bool
    _unsent = b""  # the head, until the first block or the end of the response

    def send_headers(self) -> None:
        """Prepare the head; it is sent with what follows it."""
        if self.headers_sent:
            return
        fields = (f"{name}: {value}\r\n" for name, value in self.headers)
        head = "".join((*self.default_headers(), *fields, "\r\n"))
        self._unsent = head.encode("latin-1")
        self.headers_sent = True

    def _emit_body(self, data: bytes) -> None:
        if self.chunked:
            self._send_with_head(b"")
            super()._emit_body(data)
        else:
            self._send_with_head(data)

    def sendfile(self, _file: object) -> bool:
        """Return False, so that the file is written in blocks: gunicorn would send it before the head."""
        return False

    def close(self) -> None:
        """End the response; its head is sent now if it has no body."""
        self.send_headers()
        self._send_with_head(b"")
        super().close()

    def _send_with_head(self, data: bytes) -> None:
        head, self._unsent = self._unsent, b""
        if head or data:
            util.write(self.sock, head + data)
