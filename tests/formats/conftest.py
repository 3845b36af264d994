from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest

from tests.qemu import DISK, QEMU_IMAGES, qemu_img


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Makes each kind of QEMU_IMAGES once and gives its bytes."""
    folder, ready = tmp_path_factory.mktemp("qemu"), {}

    def make(kind: str) -> bytes:
        if kind not in ready:
            raw, out = folder / "disk.raw", folder / kind
            raw.write_bytes(b"payload!" * (DISK // 8))
            options = QEMU_IMAGES[kind][1].replace("-f ", "-O ").split()
            qemu_img("convert", "-f", "raw", *options, str(raw), str(out), cwd=folder)
            ready[kind] = out.read_bytes()
        return ready[kind]

    return make


@pytest.fixture(autouse=True)
def no_garbage() -> Iterator[None]:
    """Free the disks in the frames of expected errors, which only the garbage collector finds.

    It is called for by the number of objects, and these are few with megabytes each.
    """
    yield
    gc.collect(0)
