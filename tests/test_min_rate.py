from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Iterator

import pytest

from images import min_rate
from tests.servers import ROOT

# Prints what arrives on standard input; ends with an error if it arrives too slowly.
RECEIVER = """
import os
from images import min_rate
min_rate.GRACE, min_rate.TICK = 0.5, 0.05
for block in min_rate.receive(iter(lambda: os.read(0, 1), b""), TimeoutError):
    os.write(1, block)
"""


def take(blocks: Iterator[bytes], pause: float) -> None:
    for _ in blocks:
        time.sleep(pause)


def test_data_that_comes_too_slowly_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(min_rate, "GRACE", 0.05)

    def dripping() -> Iterator[bytes]:
        while True:
            time.sleep(0.02)
            yield b"x"

    with pytest.raises(TimeoutError):
        list(min_rate.receive(dripping(), TimeoutError))


def test_it_is_not_the_senders_fault_when_the_reader_takes_his_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(min_rate, "GRACE", 0.5)

    take(min_rate.receive([b"x", b"y"], TimeoutError), 0.7)


@pytest.mark.parametrize("is_suspended", [True, False])
def test_it_is_not_the_senders_fault_when_the_process_does_not_run(
    is_suspended: bool,
) -> None:
    command = [sys.executable, "-c", RECEIVER]
    pipe = subprocess.PIPE
    with subprocess.Popen(
        command, stdin=pipe, stdout=pipe, stderr=subprocess.DEVNULL, cwd=ROOT
    ) as process:
        assert process.stdin
        assert process.stdout
        process.stdin.write(b"x")
        process.stdin.flush()
        assert process.stdout.read(1) == b"x"
        if is_suspended:
            process.send_signal(signal.SIGSTOP)
        # On a busy machine the process that is not suspended runs for a part of the time.
        time.sleep(1 if is_suspended else 3)
        process.stdin.write(b"y")
        process.stdin.close()
        process.send_signal(signal.SIGCONT)
        received = process.stdout.read()

    assert (received, process.returncode) == ((b"y", 0) if is_suspended else (b"", 1))


def test_who_takes_data_too_slowly_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(min_rate, "PAUSE", 0.05)

    blocks = min_rate.send([b"x"] * 1000, TimeoutError)

    with pytest.raises(TimeoutError):
        take(blocks, 0.02)


def test_but_not_when_it_is_the_data_that_comes_slowly(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(min_rate, "PAUSE", 0.5)

    def dripping() -> Iterator[bytes]:
        for _ in range(2):
            time.sleep(0.7)
            yield b"x"

    assert list(min_rate.send(dripping(), TimeoutError)) == [b"x", b"x"]


def test_nor_once_he_has_all_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(min_rate, "PAUSE", 0.05)

    take(min_rate.send([b"x"], TimeoutError), 0.2)
