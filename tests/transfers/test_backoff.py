from __future__ import annotations

from datetime import timedelta

import pytest

from images.transfers import backoff

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize(
    ("earlier", "seconds"), [(0, 1), (1, 2), (4, 16), (12, 3600), (10_000, 3600)]
)
def test_each_failure_doubles_the_pause_up_to_an_hour(
    earlier: int, seconds: int
) -> None:
    assert backoff.delay(SECOND, earlier) == timedelta(seconds=seconds)
