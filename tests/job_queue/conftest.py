"""A kind of jobs whose work a test chooses."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from images.job_queue import JobKind, RunningJob
from images.jobs import kinds

Work = Callable[[RunningJob], Any]


@pytest.fixture
def work(monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], None]:
    """``work(function)``: what jobs of the kind "test" do."""

    def be(function: Work) -> None:
        kind = JobKind("test", function, "Test", unit="steps")
        monkeypatch.setitem(kinds.KINDS, "test", kind)

    be(lambda job: None)
    return be
