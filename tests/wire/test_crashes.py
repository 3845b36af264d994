"""A short run of the crash tests; ``make crash`` is the long one."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from images.failpoints import POINTS, failpoint
from tests.crash import ledger, rounds
from tests.crash.judge import Row
from tests.servers import Missing

DEATHS = 10  # before each look at what is left, which takes longer than a death


@pytest.mark.slow
@pytest.mark.s3
@pytest.mark.needs_postgres
@pytest.mark.parametrize(
    "backend",
    [rounds.BACKENDS[0], pytest.param(rounds.BACKENDS[1], marks=pytest.mark.long)],
)
def test_nothing_is_stuck_lost_or_orphaned_wherever_a_process_dies(
    backend: str, tmp_path: Path
) -> None:
    number = math.ceil(len(rounds.kinds(backend)) / DEATHS)
    try:
        result = rounds.run(backend, tmp_path, number, deaths=DEATHS, seconds=360)
    except Missing as missing:
        pytest.skip(str(missing))

    print(rounds.table(result))
    assert result.troubles == []
    assert rounds.is_fine(result), result.said
    assert set(result.counts) >= set(rounds.kinds(backend))
    assert result.never_hit() == []


def test_every_named_point_has_its_rounds() -> None:
    tried = {kind for backend in rounds.BACKENDS for kind in rounds.kinds(backend)}
    assert set(POINTS) | set(rounds.KILLS) == tried


def test_a_point_that_has_no_name_in_the_list_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("IMAGECATALOG_CRASH_FILE", str(tmp_path / "die-at"))
    failpoint(POINTS[0])

    with pytest.raises(AssertionError, match=r"upload\.misspelt"):
        failpoint("upload.misspelt")


@pytest.fixture
def entry() -> ledger.Entry:
    return ledger.Entry("an-image", ledger.Body(0, b"x", "digest"), names={"new"})


@pytest.mark.parametrize(
    "row",
    [None, Row("queued", None, "new"), Row("active", "another", "new")],
    ids=["absent", "without its data", "with other data"],
)
def test_the_ledger_sees_that_an_acknowledged_upload_is_lost(
    entry: ledger.Entry, row: Row | None
) -> None:
    entry.acknowledged(frozenset(("active",)))
    assert list(ledger.wrongs([entry], {entry.id: row} if row else {}))


@pytest.mark.parametrize(
    ("emptied", "status", "wrong"),
    [
        (False, "killed", False),
        (False, "queued", True),
        (True, "queued", False),
        (True, "saving", True),
    ],
)
def test_the_ledger_sees_that_an_acknowledged_copy_is_forgotten(
    entry: ledger.Entry, emptied: bool, status: str, wrong: bool
) -> None:
    entry.emptied = emptied
    entry.acknowledged(entry.copied)

    row = Row(status, None, "new")
    assert bool(list(ledger.wrongs([entry], {entry.id: row}))) == wrong


def test_the_ledger_forgives_what_was_never_answered(entry: ledger.Entry) -> None:
    entry.acknowledged(frozenset(("queued",)))
    entry.unknown(frozenset(("active",)))
    row = Row("queued", None, "new")
    assert list(ledger.wrongs([entry], {entry.id: row})) == []
