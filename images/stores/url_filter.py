"""The filter of URLs from which the service can download.

URLs come from users, but requests come from inside the operator's network, so addresses that
only this network can reach are refused. Callers connect to ``Checked.addresses`` and never
resolve the host again.
"""

from __future__ import annotations

import re
import socket
from dataclasses import dataclass
from ipaddress import (
    IPv4Address,
    IPv4Network,
    IPv6Address,
    IPv6Network,
    ip_address,
    ip_network,
)
from urllib.parse import SplitResult, quote, urlsplit

from django.conf import settings

from images.errors import Invalid

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

PORTS = {"http": 80, "https": 443}
SYNTAX = (
    "This is not a usable URL. It must be like https://host/path, with http or https "
    "and without a user name."
)
# The same message for every reason, or the messages would reveal the internal network.
REFUSED = (
    "This URL does not pass filtering, or its host is unknown. Use a public URL, or ask "
    "the operator to allow its host and port."
)
REFUSED_ON_COMMAND_LINE = (
    "This URL does not pass filtering, or its host is unknown. Use a public URL, or allow its "
    "host in IMAGECATALOG_URL_ALLOWED_HOSTS and its port in IMAGECATALOG_URL_ALLOWED_PORTS."
)

LABEL = r"[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?"
NAME = re.compile(rf"(?=.{{1,253}}\Z){LABEL}(?:\.{LABEL})*", re.ASCII)
NETLOC = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\[\]:@]+)(?::[0-9]*)?", re.ASCII)
# Resolvers accept texts such as 2130706433, 127.1 and 0x7f.1 as IPv4 addresses.
NUMERIC = re.compile(r"(?:.*\.)?(?:[0-9]+|0x[0-9a-f]*)", re.ASCII)

# IANA's special-purpose registries (RFC 6890). Listed here, because ipaddress.is_global
# differs between patch releases of Python.
NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            "0.0.0.0/8",
            "10.0.0.0/8",
            "100.64.0.0/10",  # also Alibaba's metadata service
            "127.0.0.0/8",
            "168.63.129.16/32",  # Azure's own services, though in public space
            "169.254.0.0/16",  # also most clouds' metadata service
            "172.16.0.0/12",
            "192.0.0.0/24",  # also Oracle's metadata service
            "192.0.2.0/24",
            "192.88.99.0/24",
            "192.168.0.0/16",
            "198.18.0.0/15",
            "198.51.100.0/24",
            "203.0.113.0/24",
            "224.0.0.0/4",
            "240.0.0.0/4",
        ),
    )
)
PUBLIC_6 = IPv6Network("2000::/3")
NOT_PUBLIC_6 = tuple(
    map(
        IPv6Network,
        (
            "2001::/23",  # Teredo among others: leads to an IPv4 address
            "2001:db8::/32",
            "2002::/16",  # 6to4: leads to an IPv4 address
            "3fff::/20",
        ),
    )
)
NAT64 = IPv6Network("64:ff9b::/96")


@dataclass(frozen=True)
class Checked:
    """A URL that passed the filter, and the addresses of its host."""

    scheme: str
    host: str  # lower case, IDNA; an IPv6 address without brackets
    port: int
    addresses: tuple[str, ...]  # all allowed, in the resolver's order
    target: str  # path and query, as in the request line

    @property
    def netloc(self) -> str:
        """The value of the Host header, without the default port of the scheme."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.port == PORTS[self.scheme] else f"{host}:{self.port}"

    @property
    def url(self) -> str:
        """The normalised URL, to which relative redirects refer."""
        return f"{self.scheme}://{self.netloc}{self.target}"


def check(url: str, *, is_operators: bool = False) -> Checked:
    """Check a URL, resolve its host, and return the URL with the addresses of the host.

    Only public addresses are allowed. Exceptions are settings.IMAGECATALOG_URL_ALLOWED_HOSTS
    (names, addresses, networks) and IMAGECATALOG_URL_ALLOWED_PORTS; a URL from the operator's
    settings (``is_operators``) can have any address and port. Raises Invalid for a malformed
    URL, an unknown host, and an address or a port that is not allowed.
    """
    parts, port = _split(url)
    host = _host(parts.hostname or "")
    if not is_operators and port not in settings.IMAGECATALOG_URL_ALLOWED_PORTS:
        raise _refused()
    addresses = _resolve(host, port)
    if not is_operators:
        _check_addresses(host, addresses)
    target = quote(parts.path or "/", safe="/%:@!$&'()*+,;=~-._")
    if parts.query:
        target += "?" + quote(parts.query, safe="/%:@!$&'()*+,;=~-._?[]")
    return Checked(parts.scheme, host, port, tuple(map(str, addresses)), target)


def _check_addresses(host: str, addresses: list[Address]) -> None:
    allowed = {text.lower() for text in settings.IMAGECATALOG_URL_ALLOWED_HOSTS}
    networks = [net for net in map(_network, allowed) if net is not None]
    if host not in allowed and not all(_usable(ip, networks) for ip in addresses):
        raise _refused()


def _refused() -> Invalid:
    error = Invalid(REFUSED)
    error.operator_message = REFUSED_ON_COMMAND_LINE
    return error


def _split(url: str) -> tuple[SplitResult, int]:
    # urlsplit silently drops tabs and line breaks; other parsers read a backslash as a slash.
    if "\\" in url or any(c.isspace() or not c.isprintable() for c in url):
        raise Invalid(SYNTAX)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        raise Invalid(SYNTAX) from None
    # urlsplit does not check netloc strictly: it drops the text before a "[".
    if parts.scheme not in PORTS or not NETLOC.fullmatch(parts.netloc):
        raise Invalid(SYNTAX)
    return parts, PORTS[parts.scheme] if port is None else port


def _host(host: str) -> str:
    if ":" in host:  # NETLOC excludes zones
        return str(_address(host, IPv6Address))
    try:
        name = host.encode("idna").decode("ascii").lower().removesuffix(".")
    except UnicodeError:
        raise Invalid(SYNTAX) from None
    if NUMERIC.fullmatch(name):
        return str(_address(name, IPv4Address))
    if not NAME.fullmatch(name):
        raise Invalid(SYNTAX)
    return name


def _address(text: str, kind: type[Address]) -> Address:
    """Parse an IP address in its canonical spelling; raise Invalid for octal and short forms."""
    try:
        return kind(text)
    except ValueError:
        raise Invalid(SYNTAX) from None


def _resolve(host: str, port: int) -> list[Address]:
    try:
        entries = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        texts = dict.fromkeys(str(entry[4][0]) for entry in entries)
        addresses = [_plain(ip_address(text)) for text in texts]
    except (OSError, UnicodeError, ValueError):
        raise _refused() from None
    if not addresses:
        raise _refused()
    return addresses


def _plain(address: Address) -> Address:
    """Return the IPv4 address in an IPv4-mapped IPv6 address, and any other address unchanged.

    The kernel connects to the IPv4 address.
    """
    if isinstance(address, IPv6Address) and address.ipv4_mapped is not None:
        return address.ipv4_mapped
    return address


def _network(text: str) -> Network | None:
    try:
        return ip_network(text, strict=False)
    except ValueError:
        return None  # a host name


def _usable(address: Address, allowed: list[Network]) -> bool:
    return _public(address) or any(address in network for network in allowed)


def _public(address: Address) -> bool:
    if isinstance(address, IPv4Address):
        return not any(address in network for network in NOT_PUBLIC_4)
    if address in NAT64:
        return _public(IPv4Address(int(address) & 0xFFFFFFFF))
    return address in PUBLIC_6 and not any(address in net for net in NOT_PUBLIC_6)
