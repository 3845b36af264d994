"""Bodies of requests that no view may read."""

from __future__ import annotations


class Unread:
    """The body of a client that sends nothing of it; it notes whether anybody reads it."""

    def __init__(self) -> None:
        self.is_read = False

    def read(self, size: int = -1) -> bytes:
        self.is_read = True
        raise OSError("the client sends nothing")

    def close(self) -> None:
        pass

    readline = read
