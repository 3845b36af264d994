"""The pause of the background workers after a restore."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command

from images.duty import Duty
from images.jobs import worker
from images.models import WorkerPause
from images.operations import metrics, overview

pytestmark = pytest.mark.django_db

REASON = "The catalogue was restored from the backup of yesterday."


@pytest.fixture
def paused() -> None:
    WorkerPause.objects.create(pk=1, reason=REASON)


def duties_done() -> list[str]:
    """The names of the duties that a worker carries out now."""
    done: list[str] = []
    for duty in (worker.REPORT, *worker.DUTIES):
        assert worker._attempt(
            duty._replace(run=lambda name=duty.name: done.append(name))
        )
    return done


@pytest.mark.django_db(transaction=True)  # a duty closes connections
def test_a_paused_worker_ends_and_removes_nothing(paused: None) -> None:
    assert set(duties_done()) == {
        "report",
        "count the catalogue",
        "cache queued images",
        "tidy the cache",
        "prune sign-in records",
        "read limits from Keystone",
    }


@pytest.mark.django_db(transaction=True)
def test_a_worker_does_everything_after_the_pause(
    paused: None, capsys: pytest.CaptureFixture[str]
) -> None:
    call_command("worker_resume")

    assert "The background workers work again" in capsys.readouterr().out
    assert len(duties_done()) == 1 + len(worker.DUTIES)


def test_a_pause_is_ended_once(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("worker_resume")

    assert capsys.readouterr().out == "The background workers are not paused.\n"


def test_a_duty_does_not_run_in_a_pause_by_default() -> None:
    assert not Duty("anything", list).when_paused


WORDS = [
    ["image_scrub"],
    ["image_reap"],
    ["image_purge"],
    ["image_reconcile", "--fix", "--yes"],
]


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_commands_do_not_do_what_the_workers_must_not(
    words: list[str], paused: None
) -> None:
    with pytest.raises(CommandError, match=f"{REASON}.*worker_resume"):
        call_command(*words)


@pytest.mark.parametrize("words", WORDS, ids=lambda words: words[0])
def test_commands_may_look_during_a_pause(words: list[str], paused: None) -> None:
    dry = [words[0], "--dry-run"] if "--fix" not in words else [words[0]]

    call_command(*dry)


def test_the_overview_tells_of_the_pause(
    paused: None, capsys: pytest.CaptureFixture[str]
) -> None:
    assert overview.catalogue_overview()["paused"]["reason"] == REASON
    call_command("image_status")

    assert REASON in capsys.readouterr().out


def test_the_overview_tells_of_no_pause() -> None:
    assert overview.catalogue_overview()["paused"] is None


def test_the_metrics_tell_of_the_pause(paused: None) -> None:
    assert b"imagecatalog_worker_paused 1.0" in metrics.text({})


def test_the_metrics_tell_of_no_pause() -> None:
    assert b"imagecatalog_worker_paused 0.0" in metrics.text({})


def test_the_log_tells_of_the_pause(
    paused: None, caplog: pytest.LogCaptureFixture
) -> None:
    worker._announce_pause()

    assert REASON in caplog.text
