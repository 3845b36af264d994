"""image_reconcile as an operator sees it: lines, exit codes, and what it puts right."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

from images import lifecycle, stores
from images.access import Caller
from images.models import Event, Image, ImageLocation, Status, Transfer
from images.operations import repair

DATA = b"the bytes of an image"
FORMATS = {"disk_format": "raw", "container_format": "bare"}
LONG_AGO = timezone.now() - timedelta(days=30)


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture
def create(db: None, admin: Caller) -> Callable[[], Image]:
    """An active image as the service makes it, with its history."""

    def create() -> Image:
        image = lifecycle.create(FORMATS, {}, [], admin)
        lifecycle.upload(image.pk, [DATA], admin)
        return image

    return create


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, list[str]]]:
    """The exit code and the lines of ``image_reconcile ARGUMENTS``."""

    def run(*arguments: str) -> tuple[int, list[str]]:
        code = 0
        try:
            call_command("image_reconcile", *arguments)
        except CommandError as error:
            code = error.returncode
            print(error)
        return code, capsys.readouterr().out.splitlines()

    return run


def orphan(image: Image) -> str:
    key = f"{image.pk[:2]}/{image.pk}.{uuid4().hex}"
    stores.default().put(key, [b"12345"])
    return key


def test_an_empty_catalogue_is_in_order(db: None, run: Any) -> None:
    assert run() == (0, ["Nothing is wrong."])


def test_a_finding_is_one_line_of_kind_image_store_and_key(
    create: Any, run: Any
) -> None:
    image = create()
    key = orphan(image)

    code, lines = run()

    assert code == 1
    assert lines[0].startswith(
        f"orphan-bytes {image.pk} local {key} orphaned object of 5"
    )
    assert lines[1] == "1 finding: 1 orphan-bytes (5 orphaned bytes)"


def test_without_fix_nothing_is_changed(create: Any, run: Any) -> None:
    key = orphan(create())

    run()

    assert key in dict(stores.default().keys())


def test_orphans_are_removed_and_then_all_is_well(create: Any, run: Any) -> None:
    image = create()
    key = orphan(image)

    code, lines = run("--fix")

    assert code == 0
    assert lines[-1] == f"orphan-bytes {image.pk} local {key} fixed"
    assert run() == (0, ["Nothing is wrong."])


def test_the_part_file_of_a_dead_writer_is_removed(
    create: Any, run: Any, data_dir: Path
) -> None:
    image = create()
    part = data_dir / "images" / image.pk[:2] / f"{image.pk}.{uuid4().hex}.part"
    part.write_bytes(b"half an image")

    assert run("--fix")[0] == 0

    assert not part.exists()


def test_objects_of_another_catalogue_stay_unless_they_may_go(
    db: None, run: Any
) -> None:
    stores.default().put(f"ab/{uuid4()}.{uuid4().hex}", [b"1"])

    code, lines = run("--fix")
    assert code == 1
    assert "NOT fixed: This catalogue has no such image" in lines[-2]

    assert run("--fix", "--foreign")[0] == 0
    assert list(stores.default().keys()) == []


def test_a_dead_transfer_is_reaped(make_image: Any, run: Any) -> None:
    image = make_image(status="saving")
    Transfer.objects.update(heartbeat_at=LONG_AGO)

    _, lines = run("--fix")

    assert any(line.startswith(f"stuck {image.pk}") for line in lines)
    assert Image.objects.get(pk=image.pk).status == Status.QUEUED


def test_an_image_that_nobody_owns_is_queued_again(make_image: Any, run: Any) -> None:
    image = make_image(status="importing")
    Transfer.objects.all().delete()

    _, lines = run("--fix")

    assert f"stuck {image.pk} - - fixed" in lines
    assert Image.objects.get(pk=image.pk).status == Status.QUEUED
    assert Event.objects.get().interface == "command"


def test_a_copy_without_bytes_is_given_up(create: Any, run: Any) -> None:
    create()
    image = create()
    stores.default().delete(image.locations.get().key)

    assert run("--fix")[0] == 0

    assert Image.objects.get(pk=image.pk).status == Status.QUEUED
    assert Image.objects.get(pk=image.pk).pinned


def test_an_empty_folder_is_not_believed(
    create: Any, run: Any, settings: Any, data_dir: Path
) -> None:
    images = [create(), create()]
    (data_dir / "not-mounted").mkdir()
    settings.IMAGECATALOG_STORES = f"local=file://{data_dir}/not-mounted"

    code, lines = run("--fix")
    assert code == 1
    assert lines[-1] == "2 findings not fixed."
    assert set(Image.objects.values_list("status", flat=True)) == {Status.ACTIVE}

    assert run("--fix", "--empty-store")[0] == 0
    assert Image.objects.filter(status=Status.QUEUED).count() == len(images)


def test_what_is_overdue_is_deleted(create: Any, admin: Caller, run: Any) -> None:
    trashed, emptied = create(), create()
    lifecycle.delete(trashed.pk, admin)
    lifecycle.remove_location(emptied.pk, emptied.locations.get().pk, admin)
    Image.objects.filter(pk=trashed.pk).update(deleted_at=LONG_AGO)
    ImageLocation.objects.filter(image=emptied).update(delete_after=LONG_AGO)

    assert run("--fix")[0] == 0

    assert Image.objects.get(pk=trashed.pk).status == Status.DELETED
    assert list(stores.default().keys()) == []


def test_what_cannot_be_fixed_comes_with_advice(create: Any, run: Any) -> None:
    image = create()
    Event.objects.filter(verb="create").delete()

    code, lines = run("--fix")

    assert code == 1
    assert lines[-2].startswith(f"history {image.pk} - - NOT fixed: ")


def test_damaged_bytes_are_found_with_bytes_only(
    create: Any, run: Any, data_dir: Path
) -> None:
    key = create().locations.get().key
    (data_dir / "images" / key).write_bytes(DATA[:-1] + b"!")

    assert run()[0] == 0
    code, lines = run("--bytes")

    assert code == 1
    assert lines[0].startswith("wrong-digest ")


def test_damage_that_was_noted_is_named_without_reading_again(
    create: Any, run: Any, admin: Caller
) -> None:
    location = create().locations.get()
    repair.note_verified(location.pk, "wrong-digest: it is another one", admin)

    code, lines = run()

    assert code == 1
    assert lines[0].startswith(f"known-damage {location.image_id} local")
    assert "wrong-digest: it is another one" in lines[0]


def test_bytes_that_are_right_again_are_not_called_damaged_when_they_are_read(
    create: Any, run: Any, admin: Caller
) -> None:
    repair.note_verified(create().locations.get().pk, "wrong-digest: x", admin)

    assert run("--bytes")[0] == 0


def test_an_unknown_store_is_refused(db: None, run: Any) -> None:
    code, lines = run("--store", "third")

    assert code == 1
    assert "third not found" in lines[-1]


@pytest.mark.parametrize(
    ("arguments", "units"),
    [
        ((), {" objects"}),
        (("--bytes",), {" objects", "B/s"}),
        (("--fix", "--yes"), {" objects", " findings"}),
    ],
)
def test_a_terminal_is_shown_how_far_it_is(
    arguments: tuple[str, ...],
    units: set[str],
    create: Any,
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    orphan(create())
    monkeypatch.setattr(sys, "stderr", terminal := Terminal())

    run(*arguments)

    shown = terminal.getvalue()
    assert {it for it in (" objects", "B/s", " findings") if it in shown} == units


def test_what_is_no_terminal_is_shown_nothing_of_it(
    create: Any, run: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    orphan(create())
    call_command("image_reconcile", "--fix", "--yes", "--bytes")

    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("answer", "code"), [("yes\n", 0), ("n\n", 1), ("\n", 1)])
def test_on_a_terminal_it_asks_first(
    answer: str,
    code: int,
    create: Any,
    run: Any,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    key = orphan(create())
    monkeypatch.setattr(sys, "stdin", Terminal(answer))

    assert run("--fix")[0] == code
    assert (key in dict(stores.default().keys())) == bool(code)


def test_with_yes_it_does_not_ask(
    create: Any, run: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    orphan(create())
    monkeypatch.setattr(sys, "stdin", Terminal(""))

    assert run("--fix", "--yes")[0] == 0
