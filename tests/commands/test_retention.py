"""The command of retention policies."""

from __future__ import annotations

import json
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import CommandError

from images.models import Image, RetentionPolicy, RetentionRun

pytestmark = [pytest.mark.django_db(transaction=True), pytest.mark.once]

POLICY: dict[str, Any] = {
    "name": "old",
    "scope": {"everything": True},
    "keep": {"last": 1},
    "actions": [{"hide": "0d"}],
}


def command(*words: str) -> str:
    out = StringIO()
    call_command("image_retention", *words, stdout=out)
    return out.getvalue()


@pytest.fixture
def load(tmp_path: Path) -> Any:
    """``load(keep={"last": 2})``: the policy of a file, as the command creates or changes it."""

    def load(**values: Any) -> str:
        path = tmp_path / "policy.json"
        path.write_text(json.dumps(POLICY | values))
        return command("--load", str(path))

    return load


@pytest.fixture
def images(aged: Any) -> list[Image]:
    """Two images of one name, the newer one first."""
    return [aged(1), aged(2)]


def test_a_policy_is_loaded_shown_listed_and_deleted(load: Any) -> None:
    assert load() == "Policy old was created.\n"
    assert load(schedule="30 3 * * *") == "Policy old was changed.\n"

    shown = json.loads(command("old", "--show"))
    assert (shown["keep"], shown["schedule"]) == ({"last": 1}, "30 3 * * *")
    assert command().startswith("old: 30 3 * * *, next run 2")
    load(enabled=False)
    assert command().startswith("old: 30 3 * * * (disabled), next run ")
    assert json.loads(command("--json"))["name"] == "old"

    command("old", "--delete")
    assert not RetentionPolicy.objects.exists()


def test_a_dry_run_lists_the_decisions_and_changes_nothing(
    load: Any, images: list[Image]
) -> None:
    load()
    newer, older = images

    assert command("old", "--dry-run").splitlines() == [
        f"{newer.pk} - 1d kept: last 1 (1st of 2)",
        f"{older.pk} - 2d hide: 2 days old, 2nd of 2, no rule keeps it (last 1)",
        "A run would act on 1 of 2 images, 21 B: keep 1, hide 1.",
    ]
    rows = [json.loads(it) for it in command("old", "--dry-run", "--json").splitlines()]
    assert [it["decision"] for it in rows] == ["keep", "hide"]
    assert not Image.objects.filter(os_hidden=True).exists()


def test_a_policy_is_run_and_the_run_undone(load: Any, images: list[Image]) -> None:
    load()
    older = images[1]

    lines = command("old", "--yes", "--reason", "tidy up").splitlines()

    run = RetentionRun.objects.get()
    assert lines == [
        f"{older.pk} - 2d hide: 2 days old, 2nd of 2, no rule keeps it (last 1)",
        f"{older.pk} - hide done",
        f"Run {run.pk} of policy old: done 1.",
    ]
    assert (run.reason, run.interface) == ("tidy up", "command")
    assert Image.objects.get(pk=older.pk).os_hidden
    assert command("old", "--runs").split()[2:] == [
        "succeeded",
        "1",
        "image",
        *("tidy", "up"),
    ]

    undone = command("--undo", str(run.pk)).splitlines()
    assert undone[0] == f"{older.pk} - hide undone"
    assert not Image.objects.get(pk=older.pk).os_hidden


def test_an_undo_says_that_the_schedule_ended_and_that_it_was_done(
    load: Any, images: list[Image]
) -> None:
    load(schedule="30 3 * * *")
    command("old", "--yes")
    run = str(RetentionRun.objects.get().pk)

    assert command("--undo", run).startswith("The schedule of the policy has ended")
    with pytest.raises(CommandError, match="is undone already"):
        command("--undo", run)


def test_without_images_the_summary_ends_with_the_size(load: Any) -> None:
    load()

    assert command("old", "--dry-run") == "A run would act on 0 of 0 images, 0 B.\n"


def test_a_run_on_too_many_images_needs_force(load: Any, images: list[Image]) -> None:
    load(max_share=10)

    with pytest.raises(CommandError, match="more than max_share"):
        command("old")
    shown = command("old", "--dry-run")
    assert "more than max_share" in shown
    assert "Nothing was changed" not in shown
    command("old", "--force")
    assert Image.objects.filter(os_hidden=True).count() == 1


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["new"], "There is no retention policy new"),
        (["--dry-run"], "Name the policy"),
        (["--undo", "7"], "There is no such run of a retention policy: 7"),
        (["--load", "/nothing"], "cannot be read"),
    ],
)
def test_what_is_not_possible_is_said(words: list[str], sentence: str) -> None:
    with pytest.raises(CommandError, match=sentence):
        command(*words)


def test_a_file_with_a_bad_rule_is_refused_with_its_name(load: Any) -> None:
    with pytest.raises(CommandError, match=r"Invalid keep\.last"):
        load(keep={"last": 0})
