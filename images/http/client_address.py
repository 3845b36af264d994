"""The address of the client, also behind proxies: for limits on clients, and for logs and history."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest

CLIENT = "imagecatalog.client"  # a key of the request's environment, for the access log
HOPS = 32  # proxies in a chain; looking at thousands would take long
MAPPED = "::ffff:"  # prefix of an IPv4 address on a socket of both families
UNIX = "unix"  # stands for any proxy that connects by a Unix socket
_WITH_PORT = re.compile(r"(?:\[(.*)\]|([0-9.]+))(?::[0-9]+)?")


def client(request: HttpRequest) -> str:
    """Return the address of the client that sent this request, also behind trusted proxies."""
    return client_of(request.META)


def client_of(environ: Mapping[str, Any]) -> str:
    """Return the address of a request's client; empty for an unknown client of a Unix socket.

    A proxy appends the address of its own client to X-Forwarded-For. A client can forge all
    earlier addresses: the header is read from its end, and only while the peer that wrote the
    address is in IMAGECATALOG_TRUSTED_PROXIES.
    """
    address: str = environ.get("REMOTE_ADDR", "")
    if "." in address:
        address = address.removeprefix(MAPPED)
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").rsplit(",", HOPS)
    while hops and is_trusted(address):
        hop = _parsed(hops.pop())
        if hop is None:
            break
        address = str(hop)
    return address


@lru_cache(maxsize=1000)
def network_of(address: str) -> str:
    """Return the network that counts as one client: the address, or the /64 network of an IPv6 address.

    Text that is no address is returned unchanged.
    """
    parsed = _parsed(address)
    if isinstance(parsed, IPv6Address):
        return str(ip_network((parsed, 64), strict=False))
    return address if parsed is None else str(parsed)


def as_peers(trusted: tuple[str, ...]) -> list[str]:
    """Return the trusted networks in each form that the addresses of a server's peers can have.

    An IPv4 network is returned twice: as it is, and mapped to IPv6, because a socket of both
    families reports IPv4 peers as IPv4-mapped IPv6 addresses. The entry for Unix sockets is
    left out.
    """
    networks = _networks(trusted)
    mapped = [
        f"{MAPPED}{network.network_address}/{96 + network.prefixlen}"
        for network in networks
        if network.version == 4
    ]
    return [*map(str, networks), *mapped]


def is_trusted(peer: str) -> bool:
    """Return whether ``peer``, the address of a peer, is in IMAGECATALOG_TRUSTED_PROXIES.

    An empty ``peer`` stands for the peer of a Unix socket.
    """
    trusted = settings.IMAGECATALOG_TRUSTED_PROXIES
    if not trusted:  # the usual case, checked first because every request needs it
        return False
    if not peer:
        return UNIX in trusted
    address = _parsed(peer)
    return address is not None and any(
        address in network for network in _networks(trusted)
    )


@cache
def _networks(trusted: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(ip_network(text) for text in trusted if text != UNIX)


def _parsed(text: str) -> Any:
    """Return the IP address in a text, without its port and zone; None if the text is no address.

    An IPv4-mapped IPv6 address is returned as an IPv4 address.
    """
    text = text.strip()
    if match := _WITH_PORT.fullmatch(text):
        text = match[1] or match[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
