"""One catalogue, its clients, and rounds in which a process dies. ``Rounds`` looks at the rest."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import psutil

from images.failpoints import POINTS
from tests import servers
from tests.crash import clients, ledger
from tests.crash.judge import ROOT, Judge
from tests.web import region
from tests.wire.evidence import PARTS

BACKENDS = ("sqlite+folder", "postgres+s3")
CLIENTS = 4
LEASE = 5  # s, the shortest there is
PATIENCE = 25  # s for the clients to come by a point
WEB, WORKER = "web worker", "background worker"
MASTER, SERVICE = "gunicorn master", "whole service"
KILLS = (WEB, WORKER, MASTER, SERVICE)
COLUMNS = {
    "stuck": "stuck",
    "orphan-bytes": "orphans",
    "lost": "lost",
    "missing-bytes": "lost",
    "no-location": "lost",
    "wrong-size": "lost",
    "wrong-digest": "lost",
}


def kinds(backend: str) -> list[str]:
    """The ways to die that this backend has."""
    folder = backend == BACKENDS[0]
    elsewhere = "cache." if folder else "local."
    points = [it for it in POINTS if not it.startswith(elsewhere)]
    return [*points, *KILLS]


@dataclass
class Result:
    """Of all rounds on one backend: kind -> counts of rounds, hit, stuck, lost, orphans, other."""

    backend: str
    counts: dict[str, Counter[str]] = field(default_factory=dict)
    troubles: list[str] = field(default_factory=list)
    seconds: float = 0
    said: Counter[str] = field(default_factory=Counter)
    images: int = 0

    def never_hit(self) -> list[str]:
        return [kind for kind, count in self.counts.items() if not count["hit"]]


@contextmanager
def environment(backend: str, folder: Path) -> Iterator[tuple[dict[str, str], Path]]:
    """The settings of the service, and where nanio keeps what is unfinished."""
    env = {
        "IMAGECATALOG_LEASE_SECONDS": str(LEASE),
        "IMAGECATALOG_UPLOAD_EXPIRY": "2",
        "IMAGECATALOG_SCRUB_TIME": "0",
        "IMAGECATALOG_CRASH_FILE": str(folder / "die-at"),
        "IMAGECATALOG_URL_ALLOWED_HOSTS": "127.0.0.1",
        "IMAGECATALOG_IMPORT_PLUGINS": (
            "image_decompression,image_conversion,inject_image_metadata"
        ),
        "IMAGECATALOG_INJECTED_PROPERTIES": "tried:yes",
        "IMAGECATALOG_INJECTION_IGNORED_ROLES": "no-one",
    }
    if not shutil.which("qemu-img"):
        raise servers.Missing("qemu-img is not installed (package qemu-utils)")
    if backend == BACKENDS[0]:
        names = "local", clients.FURTHER_STORE
        each = [f"{name}=file://{folder}/stores/{name}" for name in names]
        env["IMAGECATALOG_STORES"] = ",".join(each)
        yield env, folder / "no S3"
        return
    with servers.postgres() as database, servers.nanio(folder / "s3") as s3:
        env |= s3.env
        env["DATABASE_URL"] = database
        further = s3.store(clients.FURTHER_STORE, clients.FURTHER_STORE)
        env["IMAGECATALOG_STORES"] = f"{s3.store()},{further}"
        env["IMAGECATALOG_CACHE_DIR"] = str(folder / "cache")
        env["IMAGECATALOG_CACHE_MAX_SIZE"] = str(4 << 20)
        yield env, s3.folder.parent / PARTS


class Rounds:
    """The catalogue while it is tortured."""

    def __init__(self, backend: str, folder: Path, seed: int) -> None:
        self.folder = folder
        self.dice = random.Random(seed)
        self.result = Result(backend)
        self.known: set[tuple[str, ...]] = set()
        self.kept = True  # delayed deletion, the other way after each start
        self.note = folder / "die-at"
        self.stack = ExitStack()  # of the service that runs now
        self.passer: subprocess.Popen[bytes] | None = None
        self.clients: list[clients.Client] = []

    def run(
        self, number: int, deaths: int, seconds: float, say: Callable[[str], object]
    ) -> Result:
        """So many rounds of ``deaths`` each, fewer when the time is over."""
        began = time.monotonic()
        with ExitStack() as stack:
            inside = environment(self.result.backend, self.folder)
            self.env, self.parts = stack.enter_context(inside)
            bodies = ledger.bodies(self.dice)
            web = stack.enter_context(clients.web(bodies))
            port = web.rstrip("/").rpartition(":")[2]
            self.env["IMAGECATALOG_URL_ALLOWED_PORTS"] = port
            file = self.folder / "region.json"
            remote = region(clients.REGION, web, file, "reader", "secret")
            self.env["IMAGECATALOG_REMOTES"] = remote
            stack.callback(self._end)
            self._start()
            self._invite(bodies, web, stack)
            order = self._order(number * deaths)
            for index in range(number):
                if time.monotonic() - began > seconds:
                    break
                kinds = list(islice(order, deaths))
                self._round(kinds)
                say(f"{self.result.backend} {index + 1}/{number} {', '.join(kinds)}")
            self._finish()
        self.result.seconds = time.monotonic() - began
        return self.result

    def _order(self, number: int) -> Iterator[str]:
        every = kinds(self.result.backend)
        deck: list[str] = []
        for _ in range(number):
            if not deck:
                deck = self.dice.sample(every, len(every))
            yield deck.pop()

    # The service

    def _start(self) -> None:
        self.stack = ExitStack()
        env = self.env | {"IMAGECATALOG_DELAYED_DELETE": "on" if self.kept else "off"}
        self.service = self.stack.enter_context(servers.catalogue(self.folder, env))
        self._pass()

    def _pass(self) -> None:
        """A background worker that does not rest for as long as that of the service."""
        if self.passer is None or self.passer.poll() is not None:
            command = [sys.executable, "manage.py", "image_worker", "--interval", "0.4"]
            log = (self.folder / "worker.log").open("ab")
            with log:
                self.passer = subprocess.Popen(
                    command, cwd=ROOT, env=self.service.env, stdout=log, stderr=log
                )

    def _recover(self) -> None:
        """Start dead processes again, as an operator or a supervisor would."""
        self._pass()
        if self.service.process.poll() is None:
            return
        with suppress(AssertionError):  # it did not end cleanly, and was not meant to
            self.stack.close()
        self.kept = not self.kept
        with self._quiet():
            self._start()
            for client in self.clients:
                client.use(self.service)

    def _end(self) -> None:
        if self.passer:
            self.passer.kill()
            self.passer.wait()
        self.stack.close()

    # The clients

    def _invite(self, bodies: list[ledger.Body], web: str, stack: ExitStack) -> None:
        # It must not die at a point that is meant for the service.
        env = {
            key: value
            for key, value in self.service.env.items()
            if key != "IMAGECATALOG_CRASH_FILE"
        }
        env["DJANGO_SETTINGS_MODULE"] = "imagecatalog.settings"
        self.judge = Judge(env, self.folder / "judge.log")
        stack.callback(self.judge.close)
        for _ in range(CLIENTS):
            dice = random.Random(self.dice.random())
            client = clients.Client(dice, bodies, web, self.judge)
            client.use(self.service)
            client.start()
            self.clients.append(client)
            stack.callback(self._dismiss, client)

    def _dismiss(self, client: clients.Client) -> None:
        client.stop()
        self.result.said += client.said

    @contextmanager
    def _quiet(self) -> Iterator[None]:
        """Every client has its last answer and sends nothing."""
        with ExitStack() as stack:
            for client in self.clients:
                stack.enter_context(client.slot)
                if client.failure:
                    raise client.failure
            yield

    # A round

    def _round(self, kinds: list[str]) -> None:
        for kind in kinds:
            count = self.result.counts.setdefault(kind, Counter())
            count["rounds"] += 1
            count["hit"] += self._kill(kind)
            self._recover()
            time.sleep(self.dice.uniform(0, 0.2))
        self._look(*kinds)

    def _kill(self, kind: str) -> bool:
        if kind == "reap.found":
            return self._die_reaping()
        if kind not in KILLS:
            return self._die_at(kind)
        time.sleep(self.dice.uniform(0.05, 0.4))
        if kind == SERVICE:
            self.service.kill()
            assert self.passer is not None
            self.passer.kill()
            self.passer.wait()
            return True
        # A master that was just started again has no worker yet.
        deadline = time.monotonic() + PATIENCE
        while time.monotonic() < deadline:
            with suppress(psutil.Error):
                if victims := self._processes(kind):
                    self.dice.choice(victims).kill()
                    return True
            time.sleep(0.01)
        return False

    def _die_reaping(self) -> bool:
        # A dead transfer is needed first, and may be reaped before the second note is there.
        for _ in range(10):
            if self._die_at("data.streaming") and self._die_at("reap.found", 2):
                return True
        return False

    def _die_at(self, point: str, seconds: float = PATIENCE) -> bool:
        if point in ("restore.done", "scrub.marked") and not self.kept:
            self._rotate()
        draft = self.note.with_suffix(".new")
        draft.write_text(point)
        draft.rename(self.note)
        deadline = time.monotonic() + seconds
        while self.note.exists() and time.monotonic() < deadline:
            time.sleep(0.01)
            self._pass()
        missed = self.note.exists()
        self.note.unlink(missing_ok=True)
        return not missed

    def _rotate(self) -> None:
        """Nothing is in the trash without delayed deletion: start again with it."""
        self.service.kill()
        self._recover()

    def _processes(self, kind: str) -> list[psutil.Process]:
        master = worker = None
        children = psutil.Process(self.service.process.pid).children()
        for child in children:
            with suppress(psutil.Error):
                words = " ".join(child.cmdline())
                master = child if "gunicorn" in words else master
                worker = child if "image_worker" in words else worker
        if kind == WORKER:
            assert self.passer is not None
            own = psutil.Process(self.passer.pid)
            return [own, worker] if worker else [own]
        if kind == MASTER or master is None:
            return [master] if master else []
        return master.children()

    # What is left

    def _look(self, *kinds: str) -> None:
        """Count what is wrong for the last of the kinds, and name them all."""
        with self._quiet():
            # One until what is silent ends, and one until what it has left is removed.
            found = self.judge.settle(2 * LEASE + 5)
            found += self._against_the_ledger()
            found += self.judge.check()
            found += self._unfinished()
        count = self.result.counts[kinds[-1]]
        for what, image_id, words in found:
            if (what, image_id) not in self.known:
                self.known.add((what, image_id))
                count[COLUMNS.get(what, "other")] += 1
                self.result.troubles.append(
                    f"{', '.join(kinds)}: {what} {image_id} {words}"
                )

    def _against_the_ledger(self) -> list[list[str]]:
        entries = [entry for client in self.clients for entry in client.entries]
        rows = self.judge.rows([entry.id for entry in entries])
        found = [list(wrong) for wrong in ledger.wrongs(entries, rows)]
        self.result.images += sum(entry.gone for entry in entries)
        for client in self.clients:
            client.entries = [entry for entry in client.entries if not entry.gone]
        return found

    def _unfinished(self) -> list[list[str]]:
        """Multipart uploads of the dead that S3 still has are bytes that belong to nothing."""
        return [
            ["orphan-bytes", path.name, "is an unfinished upload in S3"]
            for path in self.parts.glob("*")
            if any(path.iterdir())
        ]

    def _finish(self) -> None:
        """At the end every image is read by HTTP, byte by byte."""
        last = "at the end"
        self.result.counts[last] = Counter(rounds=1, hit=1)
        self._look(last)
        with self._quiet():
            entries = [entry for client in self.clients for entry in client.entries]
            self.result.images += len(entries)
            api = self.clients[0].api
            for entry in entries:
                readable = entry.may <= ledger.READABLE
                if readable and api.data(entry.id) != entry.body.data:
                    self.result.counts[last]["lost"] += 1
                    self.result.troubles.append(f"{last}: {entry.id} other bytes")


def run(
    backend: str,
    folder: Path,
    number: int,
    *,
    deaths: int = 1,
    seconds: float = 3600,
    seed: int = 0,
    say: Callable[[str], object] = lambda line: None,
) -> Result:
    """So many rounds on a fresh catalogue below ``folder``, each of them with so many deaths."""
    return Rounds(backend, folder, seed).run(number, deaths, seconds, say)


def table(result: Result) -> str:
    """A line for each kind of death."""
    columns = ("rounds", "hit", "stuck", "lost", "orphans", "other")
    counts: Mapping[str, Counter[str]] = result.counts
    total = sum(counts.values(), Counter())
    lines = ["".join([f"{result.backend:<20}", *(f"{name:>9}" for name in columns)])]
    for kind, count in [*sorted(counts.items()), ("all", total)]:
        lines.append(
            "".join([f"{kind:<20}", *(f"{count[name]:>9}" for name in columns)])
        )
    said = ", ".join(f"{number} {word}" for word, number in sorted(result.said.items()))
    deaths = max(total["rounds"] - 1, 1)
    lines.append(
        f"{result.seconds:.0f} s, {result.seconds / deaths:.2f} s a death; "
        f"{result.images} images; answers: {said}"
    )
    return "\n".join(lines)


def is_fine(result: Result) -> bool:
    """Nothing stuck, lost, orphaned or otherwise wrong, and no client waited in vain."""
    wrong = result.said["hung"] + result.said["wrong bytes"]
    return not result.troubles and not wrong
