"""Receiving from and sending to the sockets of clients: timeouts, early ends, and the shutdown.

Socket errors while a request body is received become errors of the catalogue, such as
BodyIncomplete. The module works on sockets and does not know HTTP.
"""

from __future__ import annotations

import fcntl
import socket
import ssl
import struct
import termios
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TypeVar
from weakref import WeakSet

from images import errors

# The keys of a request's environment for the function that lets the connection end after the
# response, and for the function that sends the rest of a file in another thread.
CLOSE = "imagecatalog.close"
SEND_REST = "imagecatalog.send_rest"
ENDED = (
    "The transfer was ended, because too much data is sent and received at once and another "
    "client has fewer transfers. Try again in a few seconds."
)
UNSENT = 1 << 18  # bytes
TLS_RECORD = 1 << 14  # bytes
LONGEST_READ = 5.0  # seconds; a slow client is noticed between two reads
_TIMEVAL = struct.Struct("@ll")  # seconds, microseconds
# Of struct tcp_info in linux/tcp.h: tcpi_bytes_acked and tcpi_bytes_received.
_MOVED = struct.Struct("@120x2Q")
_FIN_WAIT = {4, 5}  # in linux/tcp_states.h: TCP_FIN_WAIT1 and TCP_FIN_WAIT2
_stopping = threading.Event()
_receiving: dict[socket.socket, float] = {}  # socket -> seconds to wait for a byte
_ended: WeakSet[socket.socket] = WeakSet()
_lock = threading.Lock()
_Read = TypeVar("_Read")


@contextmanager
def receiving(sock: socket.socket, seconds: float) -> Iterator[None]:
    """A context manager in which a read of the socket fails if no byte arrives for ``seconds``.

    Raises ServerStopping if the service is stopping, and TransferEnded if ``end_receiving`` was
    called for the socket.
    """
    before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEVAL.size)
    timeout = sock.gettimeout()
    with _lock:
        _receiving[sock] = seconds
    set_patience(sock, seconds)
    try:
        check_service()
        yield
    except errors.BodyIncomplete:
        if sock in _ended:
            raise errors.TransferEnded(ENDED) from None
        raise
    finally:
        with _lock:
            del _receiving[sock]
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, before)
            sock.settimeout(timeout)


def set_patience(sock: socket.socket, seconds: float) -> None:
    """Set for how many seconds a read of the socket waits for a byte before it fails.

    Without TLS the timeout is an option of the kernel's socket, because a timeout of Python
    costs one system call more for each read.
    """
    with _lock:
        if sock in _receiving:
            _receiving[sock] = seconds
    seconds = min(seconds, LONGEST_READ)
    if isinstance(sock, ssl.SSLSocket):
        sock.settimeout(seconds)  # Python repeats a TLS read that the kernel has ended
        return
    whole = int(seconds)
    limit = _TIMEVAL.pack(whole, max(int((seconds - whole) * 1e6), 0 if whole else 1))
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, limit)


def receive_into(sock: socket.socket, buffer: memoryview) -> int:
    """Receive at least one byte into the buffer; return the number of received bytes.

    Raises BodyIncomplete if no byte arrives in time or the connection ends, ServerStopping once
    the service is stopping.
    """
    count = _patiently(sock, lambda: sock.recv_into(buffer))
    if not count:
        raise cut_off()
    return count


def receive(sock: socket.socket, count: int) -> bytes:
    """Receive at most ``count`` bytes, and wait for all of them for up to 5 seconds.

    Returns fewer bytes if not all arrive in that time, or, with TLS, if one TLS record has
    fewer. Raises BodyIncomplete if no byte arrives in time or the connection ends,
    ServerStopping once the service is stopping.
    """
    flags = int(socket.MSG_WAITALL)
    if isinstance(sock, ssl.SSLSocket):  # a TLS socket takes no flags
        count, flags = min(count, TLS_RECORD), 0
    block = _patiently(sock, lambda: sock.recv(count, flags))
    if not block:
        raise cut_off()
    return block


def _patiently(sock: socket.socket, read: Callable[[], _Read]) -> _Read:
    began = time.monotonic()
    while True:
        try:
            result = read()
        except (BlockingIOError, TimeoutError) as error:
            check_service()
            if time.monotonic() - began >= _receiving.get(sock, 0):
                raise stalled() from error
        except OSError as error:
            raise cut_off() from error
        else:
            check_service()
            return result


def send_at_once(sock: socket.socket, blocks: Any, most: int) -> int:
    """Send as much of ``blocks`` as the socket accepts without waiting; return how many bytes.

    At most ``most`` bytes are sent. The kernel keeps no more than 256 KiB that the network has
    not sent yet: it has one limit for all connections, and many clients that do not read would
    otherwise slow every other connection down.
    """
    if sock.family != socket.AF_UNIX:  # the buffer of a Unix socket is small
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
    sock.setblocking(False)
    try:
        sent: int = blocks.send_to(sock, most)
    except BlockingIOError:
        return 0
    finally:
        sock.setblocking(True)
    return sent


def reset_at_close(sock: socket.socket) -> None:
    """Let the kernel reset the connection when the socket is closed, and discard unsent bytes.

    The kernel would otherwise keep these bytes for minutes.
    """
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def is_open_at_client(sock: socket.socket) -> bool:
    """Return whether the client keeps a connection open on which this process has ended sending.

    False for a Unix socket.
    """
    with suppress(OSError):
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] in _FIN_WAIT
    return False


def moved(sock: socket.socket) -> int:
    """Return the sum of the bytes that a connection has received, and sent with acknowledgement.

    Counts from the beginning of the connection. Raises OSError for a closed connection, and for
    a Unix socket.
    """
    info = sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, _MOVED.size)
    received, acknowledged = _MOVED.unpack(info)
    return int(received + acknowledged)


def has_unread(sock: socket.socket) -> bool:
    """Return whether bytes of the client have arrived that the service has not read yet.

    Raises OSError for a closed connection.
    """
    return _bytes(sock, termios.FIONREAD) > 0


def has_sent_all(sock: socket.socket) -> bool:
    """Return whether the client has received all bytes that the service has sent.

    Raises OSError for a closed connection.
    """
    return not unsent(sock)


def unsent(sock: socket.socket) -> int:
    """Return how many bytes in the socket's send buffer the client has not received yet.

    Raises OSError for a closed connection.
    """
    return _bytes(sock, termios.TIOCOUTQ)


def _bytes(sock: socket.socket, request: int) -> int:
    count: int = struct.unpack("i", fcntl.ioctl(sock, request, bytes(4)))[0]
    return count


def end_receiving(sock: socket.socket) -> None:
    """Make the upload on a connection fail with TransferEnded; its client still gets the response."""
    with _lock:
        _ended.add(sock)
    _shut(sock, socket.SHUT_RD)


def abort(sock: socket.socket) -> None:
    """Close a connection on which a download runs, and discard the bytes that its client has not read."""
    with suppress(OSError):
        reset_at_close(sock)
    _shut(sock, socket.SHUT_RDWR)


def _shut(sock: socket.socket, how: int) -> None:
    # SSLSocket.shutdown would also end the encryption.
    with suppress(OSError):
        socket.socket.shutdown(sock, how)


def cut_off() -> errors.BodyIncomplete:
    """Return the error for a connection that was closed before the end of a request body."""
    return errors.BodyIncomplete(
        "The connection was closed before all data had arrived. Send it again."
    )


def stalled() -> errors.BodyIncomplete:
    """Return the error for a client that has sent nothing of its request body for too long."""
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
    """End all current and future reads of request bodies with ServerStopping.

    Responses are still delivered. From now on ``check_service`` raises ServerStopping; the sockets
    are shut down only then, because the kernel also returns bytes that arrive after the shutdown.
    """
    _stopping.set()
    with _lock:
        for sock in _receiving:
            _shut(sock, socket.SHUT_RD)
