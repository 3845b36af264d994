"""A decoder of the chunked transfer coding that reads large blocks (RFC 9112 section 7.1).

The decoder is strict: sizes are hexadecimal digits only, lines end with CRLF only, and all but
the payload is limited in size. It uses neither HTTP requests nor the server;
`images.http.streaming` decides when it is used.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator

from images import errors

BLOCK = 1 << 20  # bytes
LINE_LIMIT = 8190  # bytes of a chunk size with its extensions, or of a trailer field
TRAILER_LIMIT = 1 << 16  # bytes of all trailer fields
MAX_VIEWS = 1024  # limits the list of views that a body in tiny chunks needs
PATIENCE = (
    1.0  # seconds until a slow body yields a small block, which shows that it is alive
)

TEXT = rb"[\t\x20-\x7e\x80-\xff]*"
SIZE_LINE = re.compile(rb"([0-9A-Fa-f]+)(?:[ \t]*;" + TEXT + rb")?\r")
TRAILER_LINE = re.compile(rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]+:" + TEXT + rb"\r")


class Framing:
    """The state of decoding one chunked body. It parses bytes, and does not receive them.

    ``done`` is true after the end of the body.
    """

    def __init__(self) -> None:
        self.done = False
        self._size = 0  # bytes of the current chunk's payload
        self._left = 0  # bytes of it that are missing
        self._same = b""  # what follows the payload if the next chunk has the same size
        self._ending = False  # the line end after a payload is missing
        self._trailers: int | None = None  # bytes of trailer fields; None before them

    def cut(
        self, buffer: bytearray, start: int, stop: int, views: list[memoryview]
    ) -> int:
        """Append the payload in buffer[start:stop] to ``views``; return the index of the first unused byte.

        Unused are an unfinished line (at most 8190 bytes) and, once ``done`` is true, the bytes
        that follow the body. More bytes are unused if ``views`` is full (1024 elements): then
        empty the list and call again. Raises BodyIncomplete for a malformed body.
        """
        view = memoryview(buffer)
        while not self.done and start < stop and len(views) < MAX_VIEWS:
            if self._left:
                end = min(start + self._left, stop)
                views.append(view[start:end])
                self._left -= end - start
                self._ending = not self._left
                start = end
            elif self._ending and buffer.startswith(self._same, start, stop):
                # Most senders cut their data into chunks of one size, so no line is parsed again.
                self._left, self._ending = self._size, False
                start += len(self._same)
            elif self._ending:
                if stop - start < 2:
                    break
                if buffer[start : start + 2] != b"\r\n":
                    raise _malformed("a chunk is longer than its announced size")
                self._ending = False
                start += 2
            else:
                end = buffer.find(b"\n", start, min(stop, start + LINE_LIMIT)) + 1
                if not end:
                    if stop - start >= LINE_LIMIT:
                        raise _malformed("a line of its framing is too long")
                    break
                self._line(bytes(view[start : end - 1]))
                start = end
        return start

    def _line(self, line: bytes) -> None:
        if self._trailers is not None:
            self._trailer(line)
            return
        match = SIZE_LINE.fullmatch(line)
        if match is None:
            raise _malformed("a chunk size is not a plain hexadecimal number")
        self._size = self._left = int(match[1], 16)
        self._same = b"\r\n" + line + b"\n"
        if not self._left:
            self._trailers = 0

    def _trailer(self, line: bytes) -> None:
        assert self._trailers is not None
        self._trailers += len(line)
        if line == b"\r":
            self.done = True
        elif self._trailers > TRAILER_LIMIT:
            raise _malformed("its trailer fields are too long")
        elif not TRAILER_LINE.fullmatch(line):
            raise _malformed("a trailer field is not valid")


def blocks(
    receive: Callable[[memoryview], int], ahead: bytes
) -> Generator[bytes, None, bytes]:
    """Yield the payload of a chunked body in blocks of about 1 MiB.

    The generator returns the bytes that follow the body. ``receive`` puts bytes from the
    connection into a buffer and returns their number, at least one, or raises an error;
    ``ahead`` are bytes that were read from the connection before. Raises BodyIncomplete for a
    malformed body. Each byte is copied once, from a reused buffer, which stays in the
    processor's cache, to its block.
    """
    framing = Framing()
    buffer = bytearray(max(BLOCK, 2 * len(ahead)))
    buffer[: len(ahead)] = ahead
    view = memoryview(buffer)
    views: list[memoryview] = []
    used, filled, deadline = 0, len(ahead), time.monotonic() + PATIENCE
    while True:
        used = framing.cut(buffer, used, filled, views)
        if len(views) == MAX_VIEWS:
            yield _joined(views)
            continue
        if framing.done:
            break
        if filled == len(buffer) or time.monotonic() > deadline:
            if views:
                yield _joined(views)
            view[: filled - used] = view[used:filled]
            used, filled = 0, filled - used
            deadline = time.monotonic() + PATIENCE
        try:
            filled += receive(view[filled:])
        except errors.ImageError:
            if views:  # a caller that keeps partial data gets all of it
                yield _joined(views)
            raise
    if views:
        yield _joined(views)
    return bytes(view[used:filled])


def _joined(views: list[memoryview]) -> bytes:
    block = b"".join(views)
    views.clear()
    return block


def _malformed(reason: str) -> errors.BodyIncomplete:
    return errors.BodyIncomplete(
        f"The data was not sent as a valid chunked body: {reason}. Send it again."
    )
