"""How many requests one service and two behind HAProxy answer, and what each costs which process."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path

import psutil
import psycopg

from tests import servers
from tests.attack.figures import Figure
from tests.bench import load
from tests.bench.quiet import family
from tests.bench.wire import Endpoint
from tests.cluster.machines import Machines, machines
from tests.wire.api import PATCH, Api

KEY = "a key for measurements"
CONNECTIONS = 16
IMAGES = 100
# Milliseconds of processor time that services and database together may take: more than twice of
# what two busy cores of an AMD EPYC took.
LIMITS = {"show": 4, "list 25": 4, "change": 8}
POOL = 16  # connections of a web process
WORKER = 16  # at most, of a background worker


def measure(folder: Path, dice: random.Random, seconds: float) -> list[Figure]:
    """Each kind of request in turn, for a part of the time."""
    env = {"IMAGECATALOG_STATIC_KEYS": f"admin:{KEY}"}
    with (
        servers.postgres(syncs=True) as server,
        machines(folder, servers.prepared_database(server), env) as it,
    ):
        with Api(it.front) as api:
            images = [api.new(name=f"image {number}") for number in range(IMAGES)]
        parts = {
            "services": [service.process.pid for service in it.services],
            "database": [servers.postmaster(server).pid],
            "HAProxy": [it.proxy.pid],
        }
        ways = {"one service": it.services[0].url, "both by HAProxy": it.front.url}
        each = seconds / len(ways) / len(LIMITS)
        figures = [
            figure
            for kind in LIMITS
            for way, url in ways.items()
            for figure in _measured(kind, way, url, images, parts, each)
        ]
        return [*figures, _connections(it)]


def _measured(
    kind: str,
    way: str,
    url: str,
    images: list[str],
    parts: Mapping[str, list[int]],
    seconds: float,
) -> Iterator[Figure]:
    endpoint = Endpoint.of(url, {"X-Auth-Token": KEY})
    requests = [_request(kind, endpoint, image) for image in images[:CONNECTIONS]]
    load.rate(endpoint, requests, 1, 1)  # connections, plans and caches
    before = {name: _cpu(pids) for name, pids in parts.items()}
    rate = load.rate(endpoint, requests, 1, seconds)
    number = rate.per_second * seconds
    each = {
        name: (_cpu(parts[name]) - cpu) * 1000 / number for name, cpu in before.items()
    }
    note = ", ".join(f"{name} {ms:.2f}" for name, ms in each.items())
    title = f"{kind}, {way}"
    yield Figure(f"{title}: requests", rate.per_second, 1, "/s", least=True)
    took = each["services"] + each["database"]
    yield Figure(f"{title}: processor time", took, LIMITS[kind], "ms", note=note)
    carried = 1000 / each["database"]
    yield Figure(f"{title}: by a core of the database", carried, 1, "/s", least=True)


def _request(kind: str, endpoint: Endpoint, image: str) -> bytes:
    if kind == "list 25":
        return endpoint.request("GET", "/v2/images?limit=25", keep_alive=True)
    path = f"/v2/images/{image}"
    if kind == "show":
        return endpoint.request("GET", path, keep_alive=True)
    change = [{"op": "replace", "path": "/min_ram", "value": 64}]
    body = json.dumps(change).encode()
    return endpoint.request("PATCH", path, headers=PATCH, body=body, keep_alive=True)


def _cpu(pids: list[int]) -> float:
    """Seconds that these processes and their living children have used."""
    total = 0.0
    for pid in family(pids):
        with suppress(psutil.NoSuchProcess):
            times = psutil.Process(pid).cpu_times()
            total += times.user + times.system
    return total


def _connections(it: Machines) -> Figure:
    query = """
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND pid <> pg_backend_pid()
    """
    with psycopg.connect(it.front.env["DATABASE_URL"]) as connection:
        row = connection.execute(query).fetchone()
    assert row
    limit = len(it.services) * (2 * POOL + WORKER)
    return Figure("connections to the database", row[0], limit)
