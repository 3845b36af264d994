"""``python -m tests.bench``: measure our service, alone or alternated with a peer.

It reads the options, decides the order of the samples and sees to the clean-up.
"""

from __future__ import annotations

import argparse
import json
import re
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from statistics import median

from tests.bench import (
    catalogue,
    fill,
    pipeline,
    quiet,
    report,
    rows,
    service,
    signin,
    source,
)
from tests.bench.report import Figure
from tests.bench.target import MAX_PAGE, Target, software
from tests.bench.wire import BLOCK, BenchError, Endpoint
from tests.choices import some_of

UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


def size(text: str) -> int:
    """``1GiB``, ``256M``, ``1048576``: bytes, in whole MiB."""
    found = re.fullmatch(r"(\d+)\s*([KMG]?)(?:i?B)?", text, re.IGNORECASE)
    if not found:
        raise argparse.ArgumentTypeError(f"{text} is not a size; say 1GiB or 256MiB")
    count = int(found.group(1)) * UNITS[found.group(2).upper()]
    return max(count // BLOCK, 1) * BLOCK


def pids(text: str) -> list[int]:
    """Comma-separated process ids."""
    return [int(word) for word in text.split(",")]


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    add = parser.add_argument
    add("--peer", metavar="URL", help="another Image API v2 service to compare with")
    add(
        "--peer-token-from-keystone",
        metavar="URL",
        help="http://user:password@host:port/v3; default: the OS_* variables",
    )
    add("--peer-pids", type=pids, default=[], help="its processes, to see their memory")
    add("--url", help="measure this running service instead of starting ours")
    add("--pids", type=pids, default=[], help="the processes behind --url")
    add(
        "--auth",
        default="basic",
        help="none, basic[:USER:PASSWORD], token[:VALUE], keystone[:URL] (for ours)",
    )
    add("--database", choices=("postgresql", "sqlite"), default="postgresql")
    add("--workers", type=int, default=2, help="web processes of ours")
    add("--rounds", type=int, default=3, help="samples of each figure and service")
    add("--seconds", type=float, default=3, help="length of a throughput sample")
    add("--patience", type=float, default=20, help="s to wait for an idle machine")
    add("--size", type=size, default=size("1GiB"), help="of an upload")
    add(
        "--images",
        type=int,
        default=100_000,
        help="the big catalogue, only of a service that we start; 0: leave it out",
    )
    groups = rows.GROUPS
    add("--only", type=some_of(groups), default=groups, help=",".join(groups))
    add("--json", type=Path, metavar="FILE", help="write all samples there")
    return parser.parse_args(arguments)


class Bench:
    """One run: the targets, the figures so far."""

    def __init__(self, options: argparse.Namespace, plan: rows.Plan) -> None:
        self.options, self.plan = options, plan
        self.figures: list[Figure] = []
        self.ours: Target
        self.peer: Target | None = None
        self.env: dict[str, str] | None = None  # of the service that we started
        self.noisy = 0

    # Set-up

    def connect(self, stack: ExitStack) -> None:
        """Start or find the services."""
        said = self.options
        if said.url:
            url, auth, pids = said.url, signin.headers(said.auth), said.pids
        else:
            started = service.started(
                self.plan.folder,
                said.database,
                said.workers,
                source=self.plan.source,
                cached="cache" in said.only,
            )
            run = stack.enter_context(started)
            url, auth, pids = (
                run.url,
                service.headers(run, said.auth),
                [run.process.pid],
            )
            self.env = run.env
        self.ours = target("ours", url, auth, pids)
        if self.env is not None:
            self.ours.admin = run.auth
            self.ours.publishes = True
            if "cache" in said.only:
                self.ours.cached_store = service.CACHED_STORE
        stack.callback(self.clean, self.ours)
        if said.peer:
            self.peer = target("peer", said.peer, self.peer_auth(), said.peer_pids)
            stack.callback(self.clean, self.peer)

    def peer_auth(self) -> Mapping[str, str]:
        url = self.options.peer_token_from_keystone
        return signin.keystone_url(url) if url else signin.environment()

    def clean(self, target: Target) -> None:
        if target is self.ours and self.env is not None:
            return  # its database and folder go away as a whole
        target.forget()

    def fill_small(self) -> None:
        """A thousand images, everywhere."""
        for one in self.targets():
            one.create_many(0, 1)
            if one is self.ours and self.env is not None:
                fill.directly(self.env, 1, MAX_PAGE, one.owner)
            else:
                one.create_many(1, MAX_PAGE)
            if "metadefs" in self.options.only:
                one.survey_namespaces()
            say(f"{one.name}: {software(one.endpoint)}, {one.survey()} images")

    def targets(self) -> list[Target]:
        return [self.ours, self.peer] if self.peer else [self.ours]

    # Samples

    def measure(self) -> None:
        for row in rows.ROWS:
            if row.group in self.options.only:
                figure = Figure(row.key, row.unit, [], [], row.must, row.limit, row.aim)
                self.figures.append(self.alternate(row, figure, self.targets()))
        self.remember_memory()
        if self.env is not None and self.options.images > MAX_PAGE:
            self.measure_big()

    def alternate(
        self, row: rows.Row, figure: Figure, targets: Sequence[Target]
    ) -> Figure:
        """Sample A, B, A, B, each on a quiet machine."""
        for _ in range(self.options.rounds):
            for one in targets:
                self.noisy += not quiet.gate(self.options.patience)
                samples = figure.peer if one is self.peer else figure.ours
                samples += row.sample(one, self.plan)
        say("  ".join(filter(None, figure.cells())))
        return figure

    def measure_big(self) -> None:
        """The list and show rows again, with the big catalogue; ours alone."""
        chosen = [r for r in rows.ROWS if r.group in rows.BIG_GROUPS]
        chosen = [r for r in chosen if r.group in self.options.only]
        if not chosen or self.env is None:
            return
        count = self.options.images
        catalogue.directly(self.env, 0, count)
        say(f"ours: {self.ours.survey()} images")
        small = {figure.title: figure for figure in self.figures}
        for row in chosen:
            figure = Figure(f"{row.key} (of {count:,})", row.unit, [], [])
            self.alternate(row, figure, [self.ours])
            if row.unit == "ms":
                flat = median(small[row.key].ours) * rows.FLAT_MUST
                figure.limit = row.limit or flat
            self.figures.append(figure)

    def remember_memory(self) -> None:
        """Only when data went through, and only of processes that we may look at."""
        moving = {"upload", "download", "publish", "import", "cache"}
        if moving.isdisjoint(self.options.only):
            return
        peak = Figure("memory of the biggest process, peak", "MiB", [], [])
        growth = Figure("memory, growth over idle", "MiB", [], [])
        for one in self.targets():
            if one.memory is None:
                continue
            mine = one is self.ours
            (peak.ours if mine else peak.peer).append(one.memory.biggest())
            (growth.ours if mine else growth.peer).append(one.memory.growth())
        if growth.ours:
            growth.limit = rows.GROWTH_MUST
        if growth.ours or growth.peer:
            self.figures += [peak, growth]

    # Results

    def print(self) -> None:
        peer = "peer" if self.peer else ""
        print(f"\n{report.machine()}")
        print(self.conditions())
        print(f"\n{report.table(self.figures, ('ours', peer))}")

    def conditions(self) -> str:
        said = self.options
        kind = (
            f"ours: {said.database}, {said.workers} workers, {said.auth.split(':')[0]}"
        )
        what = kind if self.env is not None else f"ours: {said.url}"
        against = f"peer: {said.peer}; " if said.peer else ""
        return (
            f"{what}; {against}{said.rounds} rounds, {self.plan.size // quiet.MIB} MiB, "
            f"load client at most {self.plan.client_share:.0%} of a core a process, "
            f"{self.noisy} samples on a busy machine"
        )

    def write(self, path: Path) -> None:
        figures = [figure.data() for figure in self.figures]
        document = {
            "machine": report.machine(),
            "conditions": self.conditions(),
            "figures": figures,
        }
        path.write_text(json.dumps(document, indent=1))


def target(name: str, url: str, auth: Mapping[str, str], pids: Sequence[int]) -> Target:
    return Target(name, Endpoint.of(url, auth), quiet.Memory(pids) if pids else None)


def say(text: str) -> None:
    """Progress goes to stderr, the result alone to stdout."""
    print(text, file=sys.stderr, flush=True)


def stop(*_: object) -> None:
    raise KeyboardInterrupt  # so that what was created is deleted on the way out


def main(arguments: Sequence[str]) -> int:
    """Run; 0 when everything was measured, whatever the verdicts."""
    said = options(arguments)
    signal.signal(signal.SIGTERM, stop)
    try:
        with (
            tempfile.TemporaryDirectory(prefix="bench-") as folder,
            ExitStack() as stack,
        ):
            quiet.need_space(Path(folder), said.size * 4)
            url = stack.enter_context(source.serving(said.size))
            bare = stack.enter_context(pipeline.serving(Path(folder)))
            plan = rows.Plan(Path(folder), said.size, said.seconds, url, bare)
            bench = Bench(said, plan)
            bench.connect(stack)
            bench.fill_small()
            bench.measure()
    except (BenchError, OSError, subprocess.SubprocessError) as error:
        say(f"bench: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    bench.print()
    if said.json:
        bench.write(said.json)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
