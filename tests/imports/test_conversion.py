"""Conversion with the real qemu-img: right bytes, no other file read, nothing beyond the limits."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from images import errors
from images.imports import conversion, limited
from images.imports.limited import Limits, ProgramFailed
from tests.qemu import DISK, QEMU_IMAGES, inspect, qemu_img

MIB = 1 << 20
CONVERTED = sorted(QEMU_IMAGES.keys() - {"luks"})
ENOUGH = Limits(memory=1 << 30, cpu=5, size=10_000)


def nothing() -> None:
    """Go on."""


def convert(
    source: Path,
    disk_format: str,
    output: str = "raw",
    most: int = 2 * DISK,
    check: Callable[[], None] = nothing,
) -> bytes:
    """The converted disk."""
    target = source.with_name("target")
    with source.open("rb") as opened, target.open("w+b") as written:
        conversion.convert(opened, disk_format, written, output, most, check)
    return target.read_bytes()


@pytest.fixture
def source(tmp_path: Path) -> Path:
    return tmp_path / "source"


@pytest.fixture
def secret(source: Path) -> Path:
    """A file of the host."""
    path = source.with_name("secret")
    path.write_bytes(b"a secret of the host".ljust(MIB))
    return path


@pytest.mark.parametrize("kind", CONVERTED)
def test_the_raw_disk_is_the_one_that_was_packed(
    kind: str, made: Any, source: Path
) -> None:
    source.write_bytes(made(kind))

    raw = convert(source, QEMU_IMAGES[kind][0])

    assert raw[:DISK] == b"payload!" * (DISK // 8)


@pytest.mark.parametrize("output", ["qcow2", "vmdk"])
def test_the_output_passes_the_inspection(output: str, source: Path) -> None:
    source.write_bytes(os.urandom(DISK))

    assert inspect(convert(source, "raw", output), output) == DISK


def needing(secret: Path, source: Path, option: str) -> None:
    """Make a disk that needs the file."""
    more = ",backing_fmt=raw" if option == "backing_file" else ""
    create = ("create", "-f", "qcow2", "-o", f"{option}={secret}{more}")
    qemu_img(*create, str(source), "1M", cwd=source.parent)


@pytest.mark.parametrize("option", ["backing_file", "data_file"])
def test_a_disk_that_needs_another_file_is_never_opened(
    option: str, source: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needing(secret, source, option)
    monkeypatch.setattr(limited, "run", None)  # a call would fail

    with pytest.raises(errors.ContentRefused):
        convert(source, "qcow2")


@pytest.mark.parametrize("option", ["backing_file", "data_file"])
def test_what_qemu_img_finds_is_refused_too(
    option: str, source: Path, secret: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    needing(secret, source, option)
    monkeypatch.setattr(conversion, "_inspect", lambda *any: None)

    with pytest.raises(errors.ContentRefused, match="needs other files"):
        convert(source, "qcow2")


def test_a_disk_of_another_format_is_refused(made: Any, source: Path) -> None:
    source.write_bytes(made("vmdk"))

    with pytest.raises(errors.ContentRefused):
        convert(source, "qcow2")


def test_a_disk_larger_than_any_image_is_refused_before_it_is_written(
    source: Path,
) -> None:
    qemu_img("create", "-f", "qcow2", str(source), "1P", cwd=source.parent)

    with pytest.raises(errors.OverLimit, match=f"more than the {DISK} bytes"):
        convert(source, "qcow2", most=DISK)
    assert source.with_name("target").stat().st_size == 0


def test_a_conversion_ends_when_the_check_raises(made: Any, source: Path) -> None:
    source.write_bytes(made("qcow2"))
    calls: list[int] = []
    convert(source, "qcow2", check=lambda: calls.append(1))

    for number in range(1, len(calls)):
        checks = count()

        def check(checks: Any = checks, number: int = number) -> None:
            if next(checks) >= number:
                raise errors.ServerStopping("stopping")

        with suppress(errors.ServerStopping):
            convert(source, "qcow2", check=check)
            assert next(checks) <= number  # it was faster than the first time


def test_a_program_beyond_its_time_is_ended() -> None:
    with pytest.raises(ProgramFailed, match="too much time or memory"):
        limited.run(
            ["sh", "-c", "while :; do :; done"], ENOUGH._replace(cpu=1), nothing
        )


def test_a_program_cannot_write_more_than_it_may(tmp_path: Path) -> None:
    command = ["sh", "-c", f"head -c 99999 /dev/zero >{tmp_path}/f"]

    with pytest.raises(ProgramFailed):
        limited.run(command, ENOUGH, nothing)
    assert (tmp_path / "f").stat().st_size <= ENOUGH.size


def test_a_program_cannot_take_more_memory_than_it_may() -> None:
    take = "import os; b = bytearray(int(os.sys.argv[1])); print('taken')"

    assert limited.run(["python3", "-c", take, "1000"], ENOUGH, nothing) == b"taken\n"
    with pytest.raises(ProgramFailed):
        limited.run(["python3", "-c", take, str(2 << 30)], ENOUGH, nothing)


def test_a_program_that_hangs_is_killed_when_the_check_raises() -> None:
    began = time.monotonic()

    def check() -> None:
        if time.monotonic() - began > 0.1:
            raise errors.LeaseExpired("too late")

    with pytest.raises(errors.LeaseExpired):
        limited.run(["sleep", "60"], ENOUGH, check)
    assert time.monotonic() - began < 30


def test_a_program_gets_no_variables_of_the_service(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "x")
    show = "import json, os; print(json.dumps(dict(os.environ)))"

    shown = limited.run(["python3", "-c", show], ENOUGH, nothing)

    assert "AWS_SECRET_ACCESS_KEY" not in json.loads(shown)


def test_a_program_that_is_not_installed_is_named() -> None:
    with pytest.raises(ProgramFailed, match="no-such-program"):
        limited.run(["no-such-program"], ENOUGH, nothing)
