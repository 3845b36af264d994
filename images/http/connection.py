"""The client's connection while a body is read from it: patience, and the end of service.

Turns what can go wrong on a socket into sentences. Knows no HTTP.
"""

from __future__ import annotations

import socket
import struct
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from images import errors

_TIMEVAL = struct.Struct("@ll")  # seconds, microseconds
_stopping = threading.Event()
_receiving: set[socket.socket] = set()
_lock = threading.Lock()


@contextmanager
def receiving(sock: socket.socket, seconds: float) -> Iterator[None]:
    """While this lasts, a read ends after ``seconds`` without a byte, and at ``stop``."""
    before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.size)
    set_patience(sock, seconds)
    with _lock:
        _receiving.add(sock)
    try:
        check_service()
        yield
    finally:
        with _lock:
            _receiving.discard(sock)
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, before)


def set_patience(sock: socket.socket, seconds: float) -> None:
    """How long a read waits. The kernel's own timeout, as a Python one costs a poll a read."""
    whole = int(seconds)
    limit = _TIMEVAL.pack(whole, max(int((seconds - whole) * 1e6), 0 if whole else 1))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def receive_into(sock: socket.socket, buffer: memoryview) -> int:
    """Put what has arrived, at least one byte, into the buffer. Raises like ``receive``."""
    with _in_words():
        count = sock.recv_into(buffer)
    if not count:
        raise cut_off()
    return count


def receive(sock: socket.socket, count: int) -> bytes:
    """So many bytes, or fewer when the client is slow. Raises BodyIncomplete, ServerStopping."""
    with _in_words():
        block = sock.recv(count, socket.MSG_WAITALL)
    if not block:
        raise cut_off()
    return block


@contextmanager
def _in_words() -> Iterator[None]:
    try:
        yield
    except (BlockingIOError, TimeoutError) as error:
        raise stalled() from error
    except OSError as error:
        raise cut_off() from error
    check_service()


def cut_off() -> errors.BodyIncomplete:
    """What to raise when the client went away within a body."""
    return errors.BodyIncomplete(
        "The connection was closed before the whole of the data had arrived. Send it again."
    )


def stalled() -> errors.BodyIncomplete:
    """What to raise when the client sends no more of a body."""
    return errors.BodyIncomplete(
        "No more data arrived for too long, so the transfer was given up. Send it again."
    )


def check_service() -> None:
    """Raise ServerStopping once ``stop`` was called."""
    if _stopping.is_set():
        raise errors.ServerStopping(
            "The service is being stopped and could not wait for the rest of the data. "
            "Send it again when the service is back."
        )


def stop() -> None:
    """End all reading now and from now on. What is written to the connections still arrives.

    Flag first: a kernel hands out what arrives after the shutdown too.
    """
    _stopping.set()
    with _lock:
        for sock in _receiving:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RD)
