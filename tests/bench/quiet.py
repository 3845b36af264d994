"""What makes samples comparable: an idle machine, warm memory; and who uses how much of it.

Knows processes and files, nothing of HTTP or images.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import threading
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil

from tests.bench.wire import BLOCK, BenchError

MIB = 1 << 20
IDLE_CORES = 0.25


def gate(patience: float) -> bool:
    """Wait until the whole machine uses less than a quarter core.

    False: it did not within ``patience`` seconds.
    """
    deadline = time.monotonic() + patience
    while time.monotonic() < deadline:
        percent = psutil.cpu_percent(interval=0.25)
        if percent / 100 * (psutil.cpu_count() or 1) < IDLE_CORES:
            return True
    return False


def prewarm(folder: Path, size: int) -> None:
    """Write and unlink a file of ``size`` bytes.

    A virtual machine hands freed pages back to its host, and touching them again costs
    more than the write itself: without this, whoever comes second looks up to 4x faster.
    What earlier samples left to be written is flushed first: it would be paid by the next.
    """
    os.sync()
    path, block = folder / "prewarm", b"\xa5" * BLOCK
    with path.open("wb", buffering=0) as file:
        for _ in range(size // BLOCK):
            file.write(block)
    path.unlink()


def need_space(folder: Path, size: int) -> None:
    """Raise BenchError unless ``folder`` has ``size`` bytes to spare."""
    free = shutil.disk_usage(folder).free
    if free < size:
        raise BenchError(
            f"{folder} has {free // MIB} MiB free, {size // MIB} are needed: "
            "choose another folder with TMPDIR, or a smaller --size"
        )


def family(pids: Iterable[int]) -> set[int]:
    """These processes and all their children."""
    found = set(pids)
    for pid in tuple(found):
        with contextlib.suppress(psutil.Error):
            found |= {p.pid for p in psutil.Process(pid).children(recursive=True)}
    return found


def resident(pids: Iterable[int]) -> dict[int, int]:
    """Resident bytes of each process that still exists."""
    sizes: dict[int, int] = {}
    for pid in pids:
        with contextlib.suppress(psutil.Error):
            sizes[pid] = psutil.Process(pid).memory_info().rss
    return sizes


class Memory:
    """The resident memory of a service: before it was first watched, and its highest since.

    Lists that were measured before have left their mark on the former; to see the growth of
    a fresh service, measure uploads and downloads only.
    """

    def __init__(self, pids: Iterable[int]) -> None:
        self.roots = list(pids)
        self.idle: dict[int, int] = {}
        self.peak: dict[int, int] = {}

    @contextmanager
    def watched(self) -> Iterator[None]:
        """Sample every 50 ms while the block runs."""
        pids = family(self.roots)
        self.idle = resident(pids) | self.idle
        done = threading.Event()
        thread = threading.Thread(target=self._watch, args=(pids, done), daemon=True)
        thread.start()
        try:
            yield
        finally:
            done.set()
            thread.join()

    def _watch(self, pids: set[int], done: threading.Event) -> None:
        while not done.wait(0.05):
            for pid, size in resident(pids).items():
                self.peak[pid] = max(size, self.peak.get(pid, 0))

    def biggest(self) -> float:
        """Peak of the biggest process, MiB."""
        return max(self.peak.values(), default=0) / MIB

    def growth(self) -> float:
        """The most that one process grew over its size at rest, MiB."""
        grown = [size - self.idle.get(pid, size) for pid, size in self.peak.items()]
        return max(grown, default=0) / MIB
