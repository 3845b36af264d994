"""``python -m tests.bench.growth``: how the time of pages and of the worker's rounds grows with the catalogue.

It fills a database step by step (tests.bench.catalogue), and measures in its own process, without
HTTP: the time of each row, the processor time that it takes here and in the database, which means more
on a busy machine, and the number of its queries.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from statistics import median

import django
import psutil

from tests import servers
from tests.bench import catalogue, growth_plot, report

PAGE = servers.ROOT / "docs" / "performance.md"
PLOT = PAGE.parent / "images" / "growth.svg"
# The rows in the plot.
SHOWN = (
    "API: list 25, first page",
    "API: list 25, deep page",
    "API: list sorted by size",
    "API: show",
    "API: list of a project",
    "admin: list",
    "admin: trash",
    "admin: unverified",
    "admin: search, a common word",
    "admin: search, a rare word",
    "admin: search, two words",
    "admin: activity",
    "worker: reaper, nothing to do",
    "worker: scrubber, 20 due images",
    "worker: count of the catalogue",
    "worker: reconcile, rows",
)
# Settings of PostgreSQL with which it takes less time to fill; reading is as without them.
FILLING = (
    "wal_level=minimal",
    "max_wal_senders=0",
    "full_page_writes=off",
    "max_wal_size=4GB",
    "checkpoint_timeout=30min",
)
LONGEST = 10.0  # seconds of a row, if it has three samples, or of one sample


@dataclass
class Result:
    """The times of a row in catalogues of several sizes; ``limit`` in ms, 0: none."""

    group: str
    title: str
    limit: float
    # By images; in ms.
    times: dict[int, list[float]] = field(default_factory=dict)
    cpu: dict[int, list[float]] = field(default_factory=dict)
    queries: dict[int, int] = field(default_factory=dict)

    def short(self, size: int) -> str:
        """The median of the times, and of the processor time; a dash if the row was not measured."""
        if size not in self.times:
            return "–"
        return f"{shown(median(self.times[size]))} ({shown(median(self.cpu[size]))})"

    def cells(self, sizes: Sequence[int]) -> list[str]:
        """The title, then times, processor time and queries for each size, then the verdict."""
        found = [self.title]
        for size in sizes:
            if not (times := self.times.get(size)):
                found += ["-", "-", "-"]
                continue
            found.append(f"{shown(min(times))} / {shown(median(times))}")
            found.append(shown(median(self.cpu[size])))
            found.append(str(self.queries[size]))
        slow = any(median(times) > self.limit for times in self.times.values())
        verdict = "MISSED" if slow else "ok"
        return [*found, verdict if self.limit else ""]


def shown(milliseconds: float) -> str:
    """Three significant digits at most."""
    return f"{milliseconds:,.0f}" if milliseconds >= 100 else f"{milliseconds:.3g}"


def numbers(text: str) -> list[int]:
    """Comma-separated numbers, in ascending order."""
    return sorted(int(word) for word in text.split(","))


def options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="growth", description=__doc__)
    add = parser.add_argument
    add("--database", choices=("postgresql", "sqlite"), default="postgresql")
    add(
        "--images",
        type=numbers,
        default=[100_000, 1_000_000],
        help="the sizes of the catalogue, such as 100000,1000000",
    )
    add(
        "--keep",
        type=Path,
        metavar="FOLDER",
        help="keep the database there, or use the one that is there",
    )
    add("--repeat", type=int, default=30, help="samples of each row")
    add(
        "--only",
        default="",
        metavar="REGEX",
        type=re.compile,
        help="only rows whose title matches",
    )
    add(
        "--json",
        type=Path,
        metavar="FILE",
        help="add all samples to those in this file, from which --docs then writes",
    )
    add("--docs", action="store_true", help=f"write the figures into {PAGE.name}")
    return parser.parse_args(arguments)


def set_up(said: argparse.Namespace, folder: Path, stack: ExitStack) -> None:
    """Start the database, set Django up with it, and migrate."""
    own = {
        "IMAGECATALOG_DATA_DIR": str(folder / "data"),
        "IMAGECATALOG_LOG_LEVEL": "ERROR",
        "IMAGECATALOG_PUBLISH": "public",
    }
    if said.database == "postgresql":
        server = servers.postgres(kept=folder / "postgresql", settings=FILLING)
        own["DATABASE_URL"] = stack.enter_context(server)
    for name in [name for name in os.environ if name.startswith("IMAGECATALOG_")]:
        del os.environ[name]
    os.environ.pop("DATABASE_URL", None)
    os.environ.update(own, DJANGO_SETTINGS_MODULE="imagecatalog.settings")
    (folder / "data" / "images").mkdir(parents=True, exist_ok=True)
    django.setup()
    from django.core.management import call_command

    call_command("migrate", verbosity=0)


def measure(
    run: Callable[[], object], repeat: int, cpu: Callable[[], float]
) -> tuple[list[float], list[float], int]:
    """Milliseconds and processor time of each run, and the number of queries of one.

    The first run, which fills caches, counts only if it takes so long that there is no second one.
    """
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    samples: list[tuple[float, float]] = []
    begin = time.perf_counter()
    for number in range(repeat + 2):
        before, work = time.perf_counter(), cpu()
        if number < 2:
            with CaptureQueriesContext(connection) as captured:
                run()
            queries = len(captured)
        else:
            run()
        took = time.perf_counter() - before, cpu() - work
        samples.append((took[0] * 1000, took[1]))
        enough = len(samples) > 4 and before - begin > LONGEST
        if enough or took[0] > LONGEST:
            break
    counted = samples[2:] or samples[-1:]
    return [ms for ms, _ in counted], [ms for _, ms in counted], queries


def processor_time(folder: Path) -> float:
    """Milliseconds of processor time of this process, and of those of the database in ``folder``.

    Those of the database that have ended, as the workers of a parallel query, count in steps of 10 ms.
    """
    processes, ended = [psutil.Process()], 0.0
    pid_file = folder / "postgresql" / "postmaster.pid"
    if pid_file.exists():
        postmaster = psutil.Process(int(pid_file.read_text().split()[0]))
        processes += postmaster.children()
        spent = postmaster.cpu_times()
        ended = spent.children_user + spent.children_system
    found = 0
    for process in processes:
        with contextlib.suppress(OSError):  # it has ended
            text = Path(f"/proc/{process.pid}/schedstat").read_text()
            found += int(text.split()[0])
    return found / 1e6 + ended * 1000


def table(results: Sequence[Result], sizes: Sequence[int]) -> str:
    """Aligned columns."""
    head = ["ms"]
    for size in sizes:
        head += [f"{size:,} images: min / median", "processor", "queries"]
    lines = [[*head, ""], *(result.cells(sizes) for result in results)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )


def main(arguments: Sequence[str]) -> int:
    """Fill and measure, size by size; 0 whatever the verdicts."""
    said = options(arguments)
    results = read(said.json) if said.json and said.json.exists() else {}
    with ExitStack() as stack:
        folder = said.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        folder.mkdir(exist_ok=True)
        folder.chmod(0o755)  # PostgreSQL runs as another user
        set_up(said, folder, stack)
        cpu = partial(processor_time, folder)
        from tests.bench import growth_rows

        if catalogue.size() > said.images[0]:
            say(f"{folder} has {catalogue.size():,} images already.")
            return 1
        for size in said.images:
            begin = time.monotonic()
            catalogue.fill(catalogue.size(), size)
            say(f"{size:,} images: filled in {time.monotonic() - begin:.0f} s")
            for row in growth_rows.rows(size):
                if said.only and not said.only.search(row.title):
                    continue
                result = results.setdefault(
                    row.title, Result(row.group, row.title, row.limit)
                )
                times, work, asked = measure(row.run, said.repeat, cpu)
                result.times[size], result.cpu[size] = times, work
                result.queries[size] = asked
                say("  ".join(result.cells([size])))
                if said.json:  # after each row: a run can be stopped
                    write(said.json, results.values())
        titles = [row.title for row in growth_rows.rows(said.images[-1])]
    found = [results[title] for title in titles if title in results]
    sizes = sorted({size for one in found for size in one.times})
    print(f"\n{report.machine()}\n{said.database}, one process, without HTTP\n")
    print(table(found, sizes))
    if said.docs:
        write_page(found, sizes, said.database)
    return 0


def write(file: Path, results: Iterable[Result]) -> None:
    """Write results, which ``read`` reads."""
    file.write_text(json.dumps([asdict(one) for one in results], indent=1))


def read(file: Path) -> dict[str, Result]:
    """The results that another run has written, by their titles."""
    found = [Result(**one) for one in json.loads(file.read_text())]
    for one, column in product(found, ("times", "cpu", "queries")):
        by_size = getattr(one, column)
        setattr(one, column, {int(size): it for size, it in by_size.items()})
    return {one.title: one for one in found}


def write_page(results: Sequence[Result], sizes: Sequence[int], database: str) -> None:
    """Write the table of a database into the page, and, for PostgreSQL, the plot beside it."""
    head = ["Median ms (processor time)", *(f"{size:,}" for size in sizes), "Queries"]
    lines = [head, ["---", *("---:" for _ in head[1:])]]
    lines += (
        [one.title, *map(one.short, sizes), str(one.queries[max(one.queries)])]
        for one in results
    )
    rows = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    text = f"{report.machine()}.\n\n{rows}\n"
    place = re.compile(
        rf"(<!-- measured: {database} -->\n).*?(<!-- end -->)", re.DOTALL
    )
    page = PAGE.read_text()
    PAGE.write_text(place.sub(lambda found: f"{found[1]}{text}{found[2]}", page))
    if database == "postgresql":
        drawn = {one.title: one.cpu for one in results if one.title in SHOWN}
        PLOT.write_text(growth_plot.svg(drawn))


def say(text: str) -> None:
    """Progress goes to stderr, the result alone to stdout."""
    print(text, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
