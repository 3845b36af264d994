"""The service that is attacked, with its database, its members and the documented proxy."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import psutil

from tests import servers
from tests.attack import members
from tests.bench.quiet import family
from tests.bench.wire import Endpoint

WAYS = ("direct", "nginx")
VICTIM = "victim"
VICTIM_SOURCE = "127.0.2.1"
SOURCES = [f"127.0.1.{number}" for number in range(1, 51)]
ATTACKERS = [f"attacker-{number}" for number in range(len(SOURCES))]
TIMEOUT = 30.0  # s that a client waits for any single step
ESTABLISHED = "01"  # in /proc/net/tcp


@dataclass(frozen=True)
class Target:
    """A running service, and the URL at which clients reach it."""

    service: servers.Service
    url: str
    way: str

    def endpoint(self, name: str, source: str = "") -> Endpoint:
        """Where this member sends requests to, and from which address."""
        headers = {"X-Auth-Token": members.key(name)}
        endpoint = Endpoint.of(self.url, headers)
        return replace(endpoint, source=source, timeout=TIMEOUT)

    def victim(self) -> Endpoint:
        return self.endpoint(VICTIM, VICTIM_SOURCE)

    def memory(self) -> float:
        """MiB that the processes of the service use, shared pages counted once."""
        total = 0
        for pid in family([self.service.process.pid]):
            with contextlib.suppress(psutil.Error):
                total += psutil.Process(pid).memory_full_info().pss
        return total / (1 << 20)

    def open_connections(self) -> int:
        """How many connections of attackers the service, or the proxy, has not ended."""
        port = f":{Endpoint.of(self.url).port:04X}"
        lines = Path("/proc/net/tcp").read_text().splitlines()[1:]
        ends = (line.split()[1:4] for line in lines)
        return sum(
            local.endswith(port) and state == ESTABLISHED and _attacks(remote)
            for local, remote, state in ends
        )


def _attacks(remote: str) -> bool:
    """Whether an address as in /proc/net/tcp, in the machine's byte order, is an attacker's."""
    address = bytes.fromhex(remote.partition(":")[0])[::-1]
    return ".".join(map(str, address)) in SOURCES


@contextlib.contextmanager
def started(
    folder: Path,
    way: str,
    database: str = "",
    settings: Mapping[str, str] | None = None,
) -> Iterator[Target]:
    """Our service on this database (SQLite without), reached directly or through nginx."""
    names = [VICTIM, *ATTACKERS]
    env = members.settings(names) | {"IMAGECATALOG_TRUSTED_PROXIES": "127.0.0.1"}
    if database:
        env["DATABASE_URL"] = database
    with contextlib.ExitStack() as stack:
        service = stack.enter_context(
            servers.catalogue(folder, env | dict(settings or {}))
        )
        members.create(service.env, names)
        url = service.url
        if way == "nginx":
            url = stack.enter_context(servers.nginx(folder, url))
        yield Target(service, url, way)


def raise_limit(wanted: int) -> None:
    """Let this process open so many files. Raises ValueError where that is forbidden."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
