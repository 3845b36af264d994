"""Whose request it is, also when a proxy passes it on: for the throttle and for the record."""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache
from ipaddress import IPv6Address, ip_address, ip_network
from typing import Any

from django.conf import settings
from django.http import HttpRequest

CLIENT = "imagecatalog.client"  # in a request's environment, for the access log
UNIX = "unix"  # among the trusted proxies: whoever comes by a Unix socket
_WITH_PORT = re.compile(r"(?:\[(.*)\]|([0-9.]+))(?::[0-9]+)?")


def client(request: HttpRequest) -> str:
    """``client_of`` the environment of a request."""
    return client_of(request.META)


def client_of(environ: Mapping[str, Any]) -> str:
    """The client's address; empty when it came by a Unix socket and more is not known.

    A proxy adds whom it has the request from at the end of X-Forwarded-For. What stands before
    that a client may have made up: the header is read from its end, and only as far as those
    who wrote it are in IMAGECATALOG_TRUSTED_PROXIES.
    """
    found: str = environ.get("REMOTE_ADDR", "")
    hops = environ.get("HTTP_X_FORWARDED_FOR", "").split(",")
    while hops and _is_trusted(found):
        hop = _parsed(hops.pop())
        if hop is None:
            break
        found = str(hop)
    return found


def as_peers(trusted: tuple[str, ...]) -> list[str]:
    """These networks, and what those of IPv4 are on a socket of both families; no UNIX."""
    networks = _networks(trusted)
    mapped = [
        f"::ffff:{it.network_address}/{96 + it.prefixlen}"
        for it in networks
        if it.version == 4
    ]
    return [*map(str, networks), *mapped]


def _is_trusted(peer: str) -> bool:
    trusted = settings.IMAGECATALOG_TRUSTED_PROXIES
    if not trusted:  # every request asks
        return False
    if not peer:
        return UNIX in trusted
    address = _parsed(peer)
    return address is not None and any(address in it for it in _networks(trusted))


@cache
def _networks(trusted: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(ip_network(it) for it in trusted if it != UNIX)


def _parsed(text: str) -> Any:
    """The address, without what some write around it: a port, a zone, a prefix of IPv6."""
    text = text.strip()
    if found := _WITH_PORT.fullmatch(text):
        text = found[1] or found[2]
    try:
        address = ip_address(text.partition("%")[0])
    except ValueError:
        return None
    if isinstance(address, IPv6Address) and address.ipv4_mapped:
        return address.ipv4_mapped
    return address
