"""The client's connection while a request body is read: timeouts, and the end of service.

Converts socket errors to errors of the catalogue. Uses no HTTP.
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
    """Limit each read within this context to ``seconds`` without a byte; ``stop`` ends it, too."""
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
    """Set the timeout of each read from the socket, in seconds.

    This is the timeout of the kernel, because a Python timeout costs one poll for each read.
    """
    whole = int(seconds)
    limit = _TIMEVAL.pack(whole, max(int((seconds - whole) * 1e6), 0 if whole else 1))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def receive_into(sock: socket.socket, buffer: memoryview) -> int:
    """Receive at least one byte into the buffer; return how many.

    Raises BodyIncomplete when no byte arrives in time or the connection ends, ServerStopping
    once the service is stopping.
    """
    with _in_words():
        count = sock.recv_into(buffer)
    if not count:
        raise cut_off()
    return count


def receive(sock: socket.socket, count: int) -> bytes:
    """Return ``count`` bytes, or fewer at a timeout.

    Raises BodyIncomplete when no byte arrives in time or the connection ends, ServerStopping
    once the service is stopping.
    """
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
    """Return the error for a connection that was closed within a body."""
    return errors.BodyIncomplete(
        "The connection was closed before all data had arrived. Send it again."
    )


def stalled() -> errors.BodyIncomplete:
    """Return the error for a client that sends no more of a body."""
    return errors.BodyIncomplete(
        "The transfer failed, because no more data arrived for too long. Send it again."
    )


def check_service() -> None:
    """Raise ServerStopping once the service is stopping."""
    if _stopping.is_set():
        raise errors.ServerStopping(
            "The service is stopping and could not wait for the remaining data. "
            "Send it again when the service is back."
        )


def stop() -> None:
    """End all current and future reads of request bodies. Responses are still delivered.

    The flag is set first, because the kernel also returns bytes that arrive after the shutdown.
    """
    _stopping.set()
    with _lock:
        for sock in _receiving:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RD)
