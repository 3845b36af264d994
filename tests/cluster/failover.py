"""The primary of the database is killed, hangs, or is switched over, while clients go on."""

from __future__ import annotations

import random
import signal
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import requests

from tests import servers
from tests.attack.figures import Figure
from tests.cluster import answers, dying, haproxy, patroni
from tests.cluster.answers import Answers, judged, probing
from tests.cluster.patroni import Cluster
from tests.cluster.races import SlowUploads, runner
from tests.servers import Service

LEASE = 60  # s, the default: transfers survive while the database has no primary
SETTINGS = {
    "IMAGECATALOG_LEASE_SECONDS": str(LEASE),
    "IMAGECATALOG_UPLOAD_EXPIRY": "120",
    # Only a judge can follow what is scrubbed.
    "IMAGECATALOG_SCRUB_TIME": "86400",
}
# Seconds after which there must be a new primary: `ttl`, two rounds and the checks.
ELECTION = 40
RETURN = 10  # s after a new primary in which everything works again
BROKEN = (answers.BROKEN, 502)  # of which there is no reason: no service dies
BEFORE = 5.0  # s of load before each event, and after it


def through_haproxy(folder: Path, dice: random.Random, seconds: float) -> list[Figure]:
    """The services know one address, that of HAProxy in front of the database."""
    with patroni.cluster() as cluster:
        addresses = [(node.port, node.api_port) for node in cluster.nodes]
        with haproxy.before_databases(folder, addresses) as port:
            return _measure(folder, dice, cluster, f"127.0.0.1:{port}", seconds)


def by_hosts(folder: Path, dice: random.Random, seconds: float) -> list[Figure]:
    """The services know all nodes, and look for the one that takes changes."""
    with patroni.cluster() as cluster:
        return _measure(folder, dice, cluster, cluster.hosts, seconds)


def after_a_hang(folder: Path, dice: random.Random, seconds: float) -> list[Figure]:
    """The primary hangs, and goes on when there is a new one, without Patroni's watchdog."""
    with patroni.cluster() as cluster:
        hang = {"hang": hanging}
        return _measure(folder, dice, cluster, cluster.hosts, seconds, hang)


def _measure(
    folder: Path,
    dice: random.Random,
    cluster: Cluster,
    hosts: str,
    seconds: float,
    events: Mapping[str, Event] | None = None,
) -> list[Figure]:
    user = f"postgres:{patroni.PASSWORD}"
    server = f"postgresql://{user}@{hosts}/postgres?target_session_attrs=read-write"
    servers.wait_until(lambda: servers.connects(server), "the way to the primary")
    database = servers.prepared_database(server)
    with dying.stage(folder, database, dice, SETTINGS) as it:
        every, owners = [*it.races(), SlowUploads(it.machines.front)], it.clients()
        count, work = runner(every)
        figures = []
        with servers.in_threads(count, work), owners.working(it.machines.front):
            workers = _workers(it.machines.services)
            for name, event in (events or EVENTS).items():
                figures += _tried(
                    name, event, cluster, it.machines.front, it.machines.services
                )
            time.sleep(seconds / 4)
            lost = workers ^ _workers(it.machines.services)
        broken = [it for race in every for it in race.answers if it.status in BROKEN]
        figures += [
            Figure("background workers that ended", len(lost), 0),
            Figure("502, and requests without an answer", len(broken), 0),
        ]
        return figures + dying.found(it, every, owners, folder, LEASE)


def _workers(services: Sequence[Service]) -> set[int]:
    found = map(servers.background_worker, services)
    return {process.pid for process in found if process}


# Events: each yields when the former primary is gone, and returns it to the cluster afterwards.


@contextmanager
def killed(cluster: Cluster) -> Iterator[None]:
    node = cluster.primary
    assert node
    node.send(signal.SIGKILL)
    yield
    cluster.revive(node)


@contextmanager
def hanging(cluster: Cluster) -> Iterator[None]:
    node = cluster.primary
    assert node
    node.send(signal.SIGSTOP)
    try:
        yield
    finally:
        node.send(signal.SIGCONT)
    time.sleep(BEFORE)  # in which it may not answer, or take itself for the primary
    servers.wait_until(cluster.is_whole, "the node that hung", 120)


@contextmanager
def switched(cluster: Cluster) -> Iterator[None]:
    cluster.switch_over()
    yield
    servers.wait_until(cluster.is_whole, "the former primary", 120)


Event = Callable[[Cluster], Any]
EVENTS: dict[str, Event] = {"kill -9": killed, "switchover": switched}


@dataclass(frozen=True)
class Probe:
    """Whether a service was ready at a time (monotonic seconds)."""

    at: float
    ready: bool


def _tried(
    name: str,
    event: Event,
    cluster: Cluster,
    front: Service,
    services: Sequence[Service],
) -> list[Figure]:
    with probing(front) as probed, _readiness(services) as probes:
        time.sleep(BEFORE)
        former, began = cluster.primary, time.monotonic()
        with event(cluster):
            servers.wait_until(
                lambda: cluster.primary not in (None, former), "a new primary", 90
            )
            elected = time.monotonic()
            time.sleep(RETURN + BEFORE)
            states = list(probes)  # until the former primary is back
    return [
        Figure(f"{name}: seconds until a new primary", elected - began, ELECTION, "s"),
        *_returned(name, probed, began, elected),
        *_noticed(name, states, began, elected),
        *judged(f"{name}, probes", Answers([*probed[200], *probed[201]])),
    ]


def _returned(
    name: str, probed: dict[int, Answers], began: float, elected: float
) -> Iterator[Figure]:
    for status, what in ((200, "list"), (201, "creation")):
        first = probed[status].first(status, elected)
        failed = [it.at for it in probed[status] if it.status != status]
        note = probed[status].counts()
        title = f"{name}: {what}"
        yield Figure(
            f"{title} after the new primary", first - elected, RETURN, "s", note=note
        )
        last = max(failed, default=began)
        yield Figure(f"{title}, last failure", last - elected, RETURN, "s")


def _noticed(
    name: str, probes: list[Probe], began: float, elected: float
) -> Iterator[Figure]:
    unready = [it.at for it in probes if not it.ready and it.at > began]
    first, last = min(unready, default=float("nan")), max(unready, default=elected)
    note = f"not ready {first - began:.1f} s after the event"
    yield Figure(
        f"{name}: ready after the new primary", last - elected, RETURN, "s", note=note
    )


@contextmanager
def _readiness(services: Sequence[Service]) -> Iterator[list[Probe]]:
    """Ask ``/readyz`` of each service five times a second; yields the list of what they said."""
    probes: list[Probe] = []

    def look(number: int, stop: threading.Event) -> None:
        url = f"{services[number].url}/readyz"
        while not stop.wait(0.2):
            code = requests.get(url, timeout=10).status_code
            probes.append(Probe(time.monotonic(), code == 200))

    with servers.in_threads(len(services), look):
        yield probes
