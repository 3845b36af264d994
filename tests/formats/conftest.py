from __future__ import annotations

import gc
from collections.abc import Iterator
from functools import cache, partial
from pathlib import Path

import pytest

from tests import once
from tests.qemu import DISK, QEMU_IMAGES, qemu_img


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """Makes each kind of QEMU_IMAGES once for all processes of the run, and gives its bytes.

    LUKS takes seconds of processor time to find out how fast it hashes.
    """

    @cache
    def make(kind: str) -> bytes:
        convert_it = partial(convert, kind)
        folder = once.common_folder(tmp_path_factory)
        return once.made(folder, f"qemu-{kind}", convert_it).read_bytes()

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
