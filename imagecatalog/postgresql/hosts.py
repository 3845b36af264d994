"""The order in which the hosts of a database are asked for a connection.

A host that hangs or has vanished from the network costs each new connection the whole timeout. After
a failover that is often the first host of DATABASE_URL, for as long as nobody repairs it.
"""

from __future__ import annotations

from typing import Any, Final

import psycopg

DEFAULT_PORT: Final = "5432"

_last = ("", "")  # host and port that have accepted a connection


def last_one_first(params: dict[str, Any]) -> dict[str, Any]:
    """Return arguments of ``psycopg.connect`` that begin with the host that answered last.

    The other hosts follow in their own order. Arguments with a single host are returned unchanged.
    """
    hosts = str(params.get("host", "")).split(",")
    if len(hosts) == 1:
        return params
    ports = str(params.get("port", "")).split(",")
    if len(ports) == 1:
        ports *= len(hosts)
    pairs = sorted(zip(hosts, ports, strict=True), key=_is_another)
    host, port = (",".join(each) for each in zip(*pairs, strict=True))
    return params | {"host": host, "port": port}


def remember(connection: psycopg.Connection[Any]) -> None:
    """Remember the host of a new connection for the connections that this process opens later."""
    global _last
    _last = connection.info.host, str(connection.info.port)


def _is_another(pair: tuple[str, str]) -> bool:
    host, port = pair
    return (host, port or DEFAULT_PORT) != _last
