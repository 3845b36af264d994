"""The numbers that several processes count, and the process that adds them up."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from images import process_metrics
from tests import samples
from tests.servers import ROOT

# Counts what it is told, and says when it has done so.
PROCESS = """
import sys
from images import process_metrics
process_metrics.start()
for line in sys.stdin:
    name, value = line.split()
    if name.endswith("_total"): process_metrics.count(name, by=float(value))
    elif name.endswith("_timestamp_seconds"): process_metrics.show(name, float(value), "a duty")
    elif name.endswith("_seconds"):
        process_metrics.observe(name, float(value), "v2", "GET", "2xx")
    else: process_metrics.show(name, float(value))
    print("done", flush=True)
"""
LAST_ROUND = "worker_last_round_timestamp_seconds"
BYTES, RUNNING = "download_bytes_total", "http_requests_in_progress"
SECONDS = "http_request_duration_seconds"

Start = Callable[[], "Counting"]


class Counting:
    """A process that counts."""

    def __init__(self) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", PROCESS],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def add(self, name: str, value: float) -> None:
        assert self.process.stdin
        assert self.process.stdout
        print(name, value, file=self.process.stdin, flush=True)
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


@pytest.fixture
def memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder in which the services of this machine have theirs."""
    folder = tmp_path / "memory"
    folder.mkdir()
    monkeypatch.setattr(process_metrics, "IN_MEMORY", folder)
    monkeypatch.delenv(process_metrics.FOLDER, raising=False)
    return folder


@pytest.fixture
def start(memory: Path) -> Iterator[Start]:
    with process_metrics.folder(keep=False), ExitStack() as stack:

        def start() -> Counting:
            counting = Counting()
            stack.callback(counting.kill)
            return counting

        yield start


def read() -> dict[tuple[str, ...], float]:
    """Return the sums of what all processes have counted: name and labels -> value."""
    return samples.values(process_metrics.sums())


def test_the_numbers_of_all_processes_are_added_up(start: Start) -> None:
    for process in (start(), start()):
        process.add(BYTES, 5)
        process.add(RUNNING, 2)
        process.add(SECONDS, 0.03)

    found = read()

    assert (found[BYTES,], found[RUNNING,]) == (10, 4)
    of_requests = "v2", "GET", "2xx"
    assert found[f"{SECONDS}_count", *of_requests] == 2
    buckets = {
        bound: found[f"{SECONDS}_bucket", *of_requests, bound]
        for bound in ("0.025", "0.05", "+Inf")
    }
    assert buckets == {"0.025": 0, "0.05": 2, "+Inf": 2}


def test_of_times_the_latest_of_all_running_processes_is_shown(start: Start) -> None:
    for number in (5, 7, 6):
        process = start()
        process.add(LAST_ROUND, number)
        if number == 7:
            process.kill()

    assert read()[LAST_ROUND, "a duty"] == 6


def test_what_a_killed_process_has_counted_stays_and_its_state_goes(
    start: Start, memory: Path
) -> None:
    process = start()
    process.add(BYTES, 5)
    process.add(RUNNING, 2)
    process.kill()

    found = read()
    assert found[BYTES,] == 5
    assert (RUNNING,) not in found

    another = start()  # in its place
    another.add(BYTES, 1)
    another.add(RUNNING, 1)

    found = read()
    assert (found[BYTES,], found[RUNNING,]) == (6, 1)
    assert len(list(memory.glob("*/counter_*.db"))) == 1


def test_nothing_is_counted_without_a_folder(memory: Path) -> None:
    process = Counting()
    process.add(BYTES, 5)
    process.kill()

    assert read() == {}


def test_a_reload_keeps_the_folder_and_the_end_of_the_service_removes_it(
    memory: Path,
) -> None:
    with process_metrics.folder(keep=False):
        (before,) = memory.iterdir()
        with process_metrics.folder(keep=True):
            assert list(memory.iterdir()) == [before]

    assert list(memory.iterdir()) == []


def test_a_start_removes_what_a_killed_service_has_left_but_not_what_one_uses(
    memory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    left, used = (memory / f"{process_metrics.FOLDER_NAME}{name}" for name in "ab")
    for folder in (left, used):
        folder.mkdir()
        monkeypatch.setenv(process_metrics.FOLDER, str(folder))
        process = Counting()
        process.add(BYTES, 5)
        if folder == left:
            process.kill()

    with process_metrics.folder(keep=False):
        assert used.exists()
        assert not left.exists()
    process.kill()


def test_a_process_without_memory_for_its_numbers_works_without(
    memory: Path, small_disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (small_disk / "full").write_bytes(bytes((8 << 20) - (1 << 16)))
    monkeypatch.setenv(process_metrics.FOLDER, str(small_disk))
    process = Counting()
    process.add(BYTES, 5)
    process.process.send_signal(signal.SIGTERM)

    assert process.process.wait(60) == -signal.SIGTERM
    process.kill()
