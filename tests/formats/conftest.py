from __future__ import annotations

import fcntl
import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.qemu import DISK, QEMU_IMAGES, qemu_img


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Makes each kind of QEMU_IMAGES once for all processes of the run, and gives its bytes.

    LUKS takes seconds of processor time to find out how fast it hashes.
    """
    base, ready = tmp_path_factory.getbasetemp(), {}
    folder = (base.parent if "PYTEST_XDIST_WORKER" in os.environ else base) / "qemu"
    folder.mkdir(exist_ok=True)

    def make(kind: str) -> bytes:
        if kind not in ready:
            out = folder / kind
            with (folder / f"{kind}.lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                if not out.exists():
                    convert(kind, out)
            ready[kind] = out.read_bytes()
        return ready[kind]

    return make


def convert(kind: str, out: Path) -> None:
    raw = out.with_suffix(".raw")
    raw.write_bytes(b"payload!" * (DISK // 8))
    options = QEMU_IMAGES[kind][1].replace("-f ", "-O ").split()
    qemu_img("convert", "-f", "raw", *options, str(raw), str(out), cwd=out.parent)


@pytest.fixture(autouse=True)
def no_garbage() -> Iterator[None]:
    """Free the disks in the frames of expected errors, which only the garbage collector finds.

    It is called for by the number of objects, and these are few with megabytes each.
    """
    yield
    gc.collect(0)
