"""Races of many clients through HAProxy, while one of two services is killed and started again."""

from __future__ import annotations

import random
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psycopg

from tests import servers
from tests.attack.figures import Figure
from tests.cluster import ledgers, races
from tests.cluster.answers import Answers, judged
from tests.cluster.machines import Machines, machines
from tests.crash import clients, ledger
from tests.web import region

LEASE = 5  # s, the shortest there is
PAUSE = 3.0  # s that the killed machine is away
# Downloads of the clients, and no scrubbing, which only a judge can follow.
SETTINGS = {
    "IMAGECATALOG_LEASE_SECONDS": str(LEASE),
    "IMAGECATALOG_UPLOAD_EXPIRY": "20",
    "IMAGECATALOG_URL_ALLOWED_HOSTS": "127.0.0.1",
    "IMAGECATALOG_IMPORT_PLUGINS": "image_decompression,image_conversion",
}


@dataclass
class Stage:
    """Two machines, and what their clients need."""

    machines: Machines
    bodies: list[ledger.Body]
    web: str
    dice: random.Random

    def races(self) -> list[races.Race]:
        """Return one race of each kind, through HAProxy."""
        services = self.machines.services
        return races.every(self.machines.front, services, self.bodies, self.web)

    def clients(self) -> ledgers.Clients:
        return ledgers.Clients(self.dice, self.bodies, self.web)


@contextmanager
def stage(
    folder: Path, database: str, dice: random.Random, env: Mapping[str, str]
) -> Iterator[Stage]:
    """Two machines on this database, and a web server to import from."""
    bodies = ledger.bodies(dice)
    with clients.web(bodies) as web:
        port = web.rstrip("/").rpartition(":")[2]
        remote = region(clients.REGION, web, folder / "region.json", "reader", "secret")
        more = ",".join(
            f"{name}=file://{folder}/stores/{name}"
            for name in ("local", clients.FURTHER_STORE)
        )
        settings = SETTINGS | {
            "IMAGECATALOG_URL_ALLOWED_PORTS": port,
            "IMAGECATALOG_REMOTES": remote,
            "IMAGECATALOG_STORES": more,
        }
        with machines(folder, database, settings | dict(env)) as found:
            yield Stage(found, bodies, web, dice)


def measure(folder: Path, dice: random.Random, seconds: float) -> list[Figure]:
    """Half of the time before the death of a machine, and half after its return."""
    with (
        servers.postgres(syncs=True) as server,
        stage(folder, servers.prepared_database(server), dice, {}) as it,
    ):
        every, owners = it.races(), it.clients()
        for race in every:
            if isinstance(race, races.Imports):
                race.may_fail = True
        count, work = races.runner(every)
        with servers.in_threads(count, work), owners.working(it.machines.front):
            time.sleep(seconds / 2)
            it.machines.kill(1)
            time.sleep(PAUSE)
            it.machines.revive(1)
            time.sleep(seconds / 2)
        return found(it, every, owners, folder, LEASE)


def found(
    it: Stage,
    every: list[races.Race],
    owners: ledgers.Clients,
    folder: Path,
    lease: float,
) -> list[Figure]:
    """Count what was lost, what is stuck, and wrong answers, after clients have ended."""
    answers = Answers(owners.answers)
    figures = []
    for race in every:
        answers += race.answers
        wrongs = list(race.wrongs())
        note = "; ".join(wrongs[:3]) or race.answers.counts()
        figures.append(
            Figure(f"{type(race).__name__.lower()}: lost", len(wrongs), 0, note=note)
        )
    env = it.machines.front.env
    with ledgers.judging(env, folder) as judge:
        stuck = ledgers.left_over(judge, lease)
        lost = list(owners.wrongs(judge))
    note = "; ".join(lost[:3]) or owners.answers.counts()
    workers = Counter(_workers(env["DATABASE_URL"])).values()
    return [
        *figures,
        Figure("images of single clients: lost", len(lost), 0, note=note),
        Figure("stuck or left over", len(stuck), 0, note="; ".join(stuck[:3])),
        Figure(
            "background workers that imported",
            len(workers),
            2,
            least=True,
            note=str(sorted(workers)),
        ),
        *judged("all clients", answers),
        Figure("tracebacks", it.machines.tracebacks(), 0),
    ]


def _workers(database: str) -> Iterator[str]:
    """The process that made each import."""
    query = "SELECT worker FROM images_transfer WHERE kind = 'copy' AND worker <> ''"
    with psycopg.connect(database) as connection:
        yield from (worker for (worker,) in connection.execute(query))
