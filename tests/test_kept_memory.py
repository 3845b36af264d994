"""Memory that a web process has freed."""

from __future__ import annotations

import subprocess
import sys

import pytest

from tests.servers import ROOT

# Threads fill heaps, after a large block has raised the limits of the C library.
GROWTH = """
import sys, threading
from imagecatalog.web import memory
if sys.argv[1:]: memory.limit_heaps()
def resident():
    return int(open("/proc/self/statm").read().split()[1]) * 4096 >> 20
def fill():
    full.wait()
    pieces = [bytearray(60_000) for _ in range(100)]
    full.wait()
    pieces.clear()
    full.wait()
    done.wait()
full, done, before = threading.Barrier(17), threading.Event(), resident()
del (large := bytearray(30 << 20))[:]
del large
threads = [threading.Thread(target=fill) for _ in range(16)]
for thread in threads: thread.start()
for _ in range(3): full.wait()
if sys.argv[1:]: memory.return_freed()
print(resident() - before)
done.set()
"""

# A thread receives blocks of an upload, and frees them.
BLOCKS = """
import resource, sys, threading
from imagecatalog.web import memory
if sys.argv[1:]: memory.limit_heaps()
def receive():
    for _ in range(100):
        blocks = [b"x" * (1 << 20) for _ in range(6)]
def faults():
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt
before = faults()
thread = threading.Thread(target=receive)
thread.start()
thread.join()
print((faults() - before) * 4096 >> 20)
"""


def growth(*arguments: str) -> int:
    """MiB that a process keeps of about 96."""
    return printed(GROWTH, *arguments)


def printed(program: str, *arguments: str) -> int:
    """The number that a program in Python prints."""
    command = [sys.executable, "-c", program, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, check=True, text=True)
    return int(done.stdout)


def test_it_is_given_back_to_the_system() -> None:
    usual = growth()
    if usual < 48:
        pytest.skip("this C library gives it back by itself")

    assert growth("returned") < 24


def test_the_next_blocks_of_an_upload_use_it() -> None:
    """Of 600 MiB the kernel has to provide only what is used at the same time."""
    if printed(BLOCKS) < 150:
        pytest.skip("this C library keeps it by itself")

    assert printed(BLOCKS, "limited") < 60
