"""The sockets on which `serve` listens: TCP, Unix sockets, and sockets opened by systemd."""

from __future__ import annotations

import errno
import ipaddress
import os
import socket
import stat
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Final, NamedTuple

from django.core.management.base import CommandError
from gunicorn import systemd  # type: ignore[import-untyped]

BACKLOG: Final = 4096
UNIX: Final = "unix:"
DESCRIPTOR: Final = "fd://"
MANAGEMENT: Final = "management"  # FileDescriptorName= of systemd


class Address(NamedTuple):
    """An address on the command line: host and port, the path of a Unix socket, or a descriptor.

    ``descriptor`` is the number of a socket that the parent process has opened. ``text`` is the
    address as it was given.
    """

    text: str
    host: str = ""
    port: int = 0
    path: str = ""
    descriptor: int | None = None


@dataclass
class Listener:
    """A listening socket. ``path`` is the file of a Unix socket that this service has created."""

    name: str  # the address as the command line has it
    socket: socket.socket
    path: str = ""

    @property
    def is_local(self) -> bool:
        """Whether only programs on this machine can connect."""
        if self.socket.family == socket.AF_UNIX:
            return True
        return is_loopback(self.socket.getsockname()[0])

    def close(self) -> None:
        """Close the socket, so that clients are refused, and remove its file if it has one."""
        if self.path:
            with suppress(OSError):
                os.unlink(self.path)
            self.path = ""  # another service can use it from now on
        self.socket.close()

    def url(self, scheme: str) -> str:
        """Return the URL by which clients reach the socket; ``unix:PATH`` for a Unix socket."""
        if self.socket.family == socket.AF_UNIX:
            return f"{UNIX}{self.socket.getsockname()}"
        host, port = self.socket.getsockname()[:2]
        if ipaddress.ip_address(host).is_unspecified:
            host = "localhost"
        shown = f"[{host}]" if ":" in host else host
        return f"{scheme}://{shown}:{port}"


@dataclass
class Sockets:
    """All listening sockets of a service: the API's sockets, and the management listener's socket.

    ``management`` is None if there is no management listener.
    """

    api: list[Listener]
    management: Listener | None = None

    def descriptors(self) -> dict[str, int]:
        """Return the file descriptor of each socket, by the text of its address."""
        management = [self.management] if self.management else []
        return {it.name: it.socket.fileno() for it in (*self.api, *management)}


def is_loopback(host: str) -> bool:
    """Return whether a host name or IP address is the loopback interface of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def parse(option: str, text: str) -> Address:
    """Parse an address on the command line: HOST:PORT, unix:PATH or fd://NUMBER.

    ``option`` is the option's name for the message. Raises CommandError for any other text.
    """
    if text.startswith(UNIX) and text != UNIX:
        return Address(text, path=text.removeprefix(UNIX))
    number = text.removeprefix(DESCRIPTOR)
    if number != text and number.isdecimal() and len(number) < 8:
        return Address(text, descriptor=int(number))
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise CommandError(
            f"{text!r} is not an address for {option}. It must be HOST:PORT, with a port up to "
            "65535, or unix:PATH, or fd://NUMBER. Use 0.0.0.0:PORT for all networks of IPv4, "
            "and [::]:PORT or :PORT for those of IPv4 and IPv6."
        )
    everywhere = "::" if socket.has_dualstack_ipv6() else "0.0.0.0"
    return Address(text, host.strip("[]") or everywhere, int(port))


def listen(
    option: str, addresses: list[Address], mode: int, kept: Mapping[str, int]
) -> Iterator[Listener]:
    """Yield a listening socket for each address. Raises CommandError if one cannot be opened.

    ``option`` is the option's name for the message. ``mode`` has the permissions for the files
    of Unix sockets. ``kept`` has the file descriptors of sockets that already listen, by the
    text of their addresses.
    """
    # Ports that also have an IPv4 address in the list.
    separate = {address.port for address in addresses if "." in address.host}
    for address in addresses:
        if address.text in kept:
            listener = socket.socket(fileno=kept[address.text])
        elif address.descriptor is not None:
            listener = _inherited(address.text, address.descriptor)
        elif address.path:
            listener = _on_path(option, address.path, mode)
        else:
            is_dual = address.host == "::" and address.port not in separate
            listener = _on_network(option, address, is_dual)
        yield Listener(address.text, listener, address.path)


def of_systemd() -> tuple[list[Listener], list[Listener]]:
    """Return the sockets that systemd has opened for the API, and for the management listener.

    Sockets for the management listener have the name ``management`` in systemd
    (``FileDescriptorName=``). Raises CommandError for a socket that does not listen.
    """
    names = os.environ.get("LISTEN_FDNAMES", "").split(":")
    found: tuple[list[Listener], list[Listener]] = [], []
    for index in range(systemd.listen_fds(unset_environment=False)):
        number = systemd.SD_LISTEN_FDS_START + index
        text = f"{DESCRIPTOR}{number}"
        listener = Listener(text, _inherited(text, number))
        found[names[index : index + 1] == [MANAGEMENT]].append(listener)
    return found


def _inherited(text: str, number: int) -> socket.socket:
    try:
        listener = socket.socket(fileno=number)
        listens = listener.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)
    except OSError as error:
        raise CommandError(
            f"{text} cannot be used: {error.strerror}. It must be a listening socket that the "
            "parent process has opened."
        ) from error
    if not listens:
        raise CommandError(f"{text} is a socket that does not listen.")
    return listener


def _on_network(option: str, address: Address, is_dual: bool) -> socket.socket:
    family = socket.AF_INET6 if ":" in address.host else socket.AF_INET
    try:
        return socket.create_server(
            (address.host, address.port),
            family=family,
            backlog=BACKLOG,
            dualstack_ipv6=is_dual and socket.has_dualstack_ipv6(),
        )
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {address.host} port {address.port}: {error.strerror}. "
            f"Choose another address or port with {option} HOST:PORT."
        ) from error


def _on_path(option: str, path: str, mode: int) -> socket.socket:
    listener = socket.socket(socket.AF_UNIX)
    umask = os.umask(0o777 & ~mode)
    try:
        try:
            listener.bind(path)
        except OSError as error:
            if error.errno != errno.EADDRINUSE or not _is_abandoned(path):
                raise
            os.unlink(path)
            listener.bind(path)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise CommandError(
            f"Cannot listen on {UNIX}{path}: {error.strerror or error}. Choose another path "
            f"with {option} {UNIX}PATH."
        ) from error
    finally:
        os.umask(umask)
    return listener


def _is_abandoned(path: str) -> bool:
    """Return whether ``path`` is the file of a Unix socket on which no process listens."""
    if not stat.S_ISSOCK(os.stat(path).st_mode):
        return False
    with socket.socket(socket.AF_UNIX) as client:
        try:
            client.connect(path)
        except ConnectionRefusedError:
            return True
    return False
