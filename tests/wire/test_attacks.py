"""A short run of the attacks; ``make attack`` is the long one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from images.transfers.places import YOUNG
from tests.attack import figures, victim
from tests.attack.lines import KINDS, Attack, Plan
from tests.attack.target import SOURCES, WAYS, Target, started
from tests.servers import Missing

NUMBER = 20  # connections of each kind: more in all than the service has threads
PATIENCE = 10  # s for a health check, on a machine that runs other tests


@pytest.fixture(params=WAYS)
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Target]:
    try:
        with started(tmp_path, request.param) as target:
            yield target
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.mark.slow
def test_slow_connections_of_every_kind_take_the_service_from_nobody(
    target: Target,
) -> None:
    plan = Plan(target, len(SOURCES))
    lines = [line for kind in KINDS for line in plan.lines(kind, NUMBER)]
    attack = Attack(target.victim(), lines)

    seen = victim.during(target.victim(), seconds=3, size=1 << 20)

    assert attack.end().refused.total() == 0
    assert seen.failures == []
    assert seen.slowest_check() < PATIENCE
    assert seen.uploads
    assert seen.downloads


@pytest.mark.slow
def test_others_can_upload_while_fifty_members_hold_every_place(
    target: Target,
) -> None:
    plan = Plan(target, len(SOURCES))
    attack = Attack(target.victim(), plan.lines("upload", 4 * len(SOURCES)))
    victim.during(target.victim(), seconds=YOUNG, size=0)

    seen = victim.during(target.victim(), seconds=4, size=1 << 20)

    answers = attack.end().answers
    assert seen.failures == []
    assert seen.uploads
    assert answers["upload 503"]
    assert "is ended for one of" in target.service.log.read_text()


@pytest.mark.parametrize(
    ("value", "least", "kept"),
    [(1, False, True), (2, False, False), (1, True, True), (0, True, False)],
)
def test_a_figure_beyond_its_limit_is_broken(
    value: float, least: bool, kept: bool
) -> None:
    figure = figures.Figure("figure", value, 1, least=least)

    assert figure.kept == kept
    assert ("BROKEN" in figures.table([figure])) != kept
