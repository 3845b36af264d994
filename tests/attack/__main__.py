"""``python -m tests.attack``: attack a service of its own, directly and through nginx.

Exit code 1 when a measured figure breaks its limit.
"""

from __future__ import annotations

import argparse
import itertools
import shutil
import sys
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests import servers
from tests.attack import downloads, member, outage, slow
from tests.attack.figures import Figure, table
from tests.attack.lines import KINDS
from tests.attack.target import SOURCES, WAYS, Target, started
from tests.choices import some_of

SLOW = (*KINDS, "all")
NAMES = (*SLOW, "downloads", "member", "database")
# Deleted images would fill the disk, one member has to reach its quota, and a locked row is
# changed more often than one project may.
SETTINGS = {
    "slow": {"IMAGECATALOG_DELAYED_DELETE": "off"},
    "member": {"IMAGECATALOG_USER_STORAGE_QUOTA": str(member.QUOTA << 20)},
    "database": {"IMAGECATALOG_IMAGE_CHANGE_RATE": "0"},
}


def options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="attack", description=__doc__)
    add = parser.add_argument
    add("--only", type=some_of(NAMES), default=list(NAMES), help=",".join(NAMES))
    add("--through", choices=WAYS, help="only this way")
    add("--connections", type=int, default=1000, help="slow ones, of each kind")
    add("--downloads", type=int, default=2000, help="honest ones at the same time")
    add("--minutes", type=float, default=10, help="of the member's requests")
    add(
        "--seconds",
        type=float,
        default=90,
        help="of slow connections, of downloads, and without a database",
    )
    return parser.parse_args()


class Run:
    """All chosen attacks, in a folder of their own."""

    def __init__(self, asked: argparse.Namespace, folder: Path) -> None:
        self.asked, self.folder = asked, folder
        self.figures: list[Figure] = []

    def measure(self) -> None:
        for way in [self.asked.through] if self.asked.through else WAYS:
            for name, attack in (
                ("slow", self._slow),
                ("downloads", self._downloads),
                ("member", self._member),
                ("database", self._database),
            ):
                with self._surviving(f"{name}, {way}"):
                    attack(way)

    def _slow(self, way: str) -> None:
        names = [name for name in SLOW if name in self.asked.only]
        if not names:
            return
        with self._target("slow", way) as (target, _):
            for name, sources in itertools.product(names, (1, len(SOURCES))):
                kinds = list(KINDS) if name == "all" else [name]
                asked = self.asked.connections, sources, self.asked.seconds
                with self._surviving(f"{name}, {way}, {sources} sources"):
                    self._add(slow.measure(target, kinds, *asked))

    def _downloads(self, way: str) -> None:
        if "downloads" in self.asked.only:
            with self._target("downloads", way) as (target, _):
                asked = self.asked.downloads, self.asked.seconds
                self._add(downloads.measure(target, *asked))

    def _member(self, way: str) -> None:
        if "member" in self.asked.only:
            with self._target("member", way) as (target, _):
                self._add(member.measure(target, self.asked.minutes))

    def _database(self, way: str) -> None:
        if "database" in self.asked.only:
            with self._target("database", way) as (target, database):
                self._add(outage.measure(target, database, self.asked.seconds))

    @contextmanager
    def _target(
        self, name: str, way: str
    ) -> Iterator[tuple[Target, servers.StoppablePostgres]]:
        """A fresh service. Whatever happens to it, it logs no traceback."""
        folder = self.folder / f"{name}-{way}"
        folder.mkdir()
        with (
            servers.stoppable_postgres() as database,
            started(folder, way, database.url, SETTINGS.get(name)) as target,
        ):
            yield target, database
            tracebacks = target.service.log.read_text().count("Traceback")
            self._add([Figure(f"{name}, {way}: tracebacks", tracebacks, 0)])

    @contextmanager
    def _surviving(self, title: str) -> Iterator[None]:
        """Show an attack that could not be measured as a broken figure, and go on."""
        try:
            yield
        except Exception as error:
            traceback.print_exc()
            figure = Figure(f"{title}: measured", 0, 1, least=True, note=repr(error))
            self._add([figure])

    def _add(self, figures: list[Figure]) -> None:
        """Show the figures as they come: all of them take more than an hour."""
        self.figures += figures
        print(table(figures), file=sys.stderr, flush=True)


def main() -> int:
    asked, folder = options(), Path(tempfile.mkdtemp(prefix="attack-"))
    run = Run(asked, folder)
    try:
        run.measure()
    finally:
        kept = bool(run.figures) and all(figure.kept for figure in run.figures)
        if kept:
            shutil.rmtree(folder)
        else:
            print(f"logs and data: {folder}", file=sys.stderr, flush=True)
        print(f"\n{table(run.figures)}")
    return 0 if kept else 1


if __name__ == "__main__":
    sys.exit(main())
