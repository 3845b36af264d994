"""The clients of ``tests.crash``, each with images of its own, through HAProxy."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from tests.cluster.answers import Answers
from tests.crash import ledger
from tests.crash.clients import Client
from tests.crash.judge import Judge, Row
from tests.servers import Service

COUNT = 3
LONG = 30.0  # s that what is left over may take, beside two leases


class NoJudge(Judge):
    """Does nothing for the clients: a process of its own would need the database all the time."""

    def __init__(self) -> None:
        pass

    def rows(self, ids: list[str]) -> dict[str, Row]:
        return {}

    def command(self, *words: str) -> bool:
        return False


class Clients:
    """Clients that do random verbs, and note which statuses each of their images may have."""

    def __init__(
        self, dice: random.Random, bodies: list[ledger.Body], web: str
    ) -> None:
        self.answers = Answers()
        self._clients = [
            Client(random.Random(dice.random()), bodies, web, NoJudge())
            for _ in range(COUNT)
        ]

    @contextmanager
    def working(self, front: Service) -> Iterator[None]:
        """Raises what a client has raised."""
        for client in self._clients:
            client.use(front)
            self.answers.watch(client.api)
            self.answers.watch(client.v1)
            client.start()
        try:
            yield
        finally:
            for client in self._clients:
                client.stop()
        for client in self._clients:
            if client.failure:
                raise client.failure

    def wrongs(self, judge: Judge) -> Iterator[str]:
        """Images whose status or data is not what a client was told last."""
        entries = [entry for client in self._clients for entry in client.entries]
        rows = judge.rows([entry.id for entry in entries])
        for wrong in ledger.wrongs(entries, rows):
            yield " ".join(wrong)
        for client in self._clients:
            if number := client.said["wrong bytes"] + client.said["hung"]:
                yield f"{number} downloads were wrong, or requests hung"


@contextmanager
def judging(env: Mapping[str, str], folder: Path) -> Iterator[Judge]:
    """A judge of the catalogue of these settings, which the database must answer."""
    settings = {"DJANGO_SETTINGS_MODULE": "imagecatalog.settings"}
    judge = Judge({**env, **settings}, folder / "judge.log")
    try:
        yield judge
    finally:
        judge.close()


def left_over(judge: Judge, lease: float) -> list[str]:
    """Return what is stuck after two leases, and what the consistency checks find."""
    found = judge.settle(2 * lease + LONG) + judge.check()
    return [" ".join(map(str, one)) for one in found]
