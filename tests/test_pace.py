from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from images import pace


def test_data_that_comes_too_slowly_is_given_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "GRACE", 0.05)

    def dripping() -> Iterator[bytes]:
        while True:
            time.sleep(0.02)
            yield b"x"

    with pytest.raises(TimeoutError):
        list(pace.kept(dripping(), TimeoutError))


def test_it_is_not_the_senders_fault_when_the_reader_takes_his_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pace, "GRACE", 0.5)

    for _ in pace.kept([b"x", b"y"], TimeoutError):
        time.sleep(0.7)
