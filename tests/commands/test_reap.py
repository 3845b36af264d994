from __future__ import annotations

import io
from typing import Any

import pytest
from django.core.management import call_command

from images import stores
from images.models import Event, Image, Transfer

LONG_AGO = "2000-01-01T00:00:00Z"

pytestmark = pytest.mark.django_db


def test_it_lists_what_it_ends_and_why(make_image: Any, capsys: Any) -> None:
    image = make_image("saving")
    Transfer.objects.update(heartbeat_at=LONG_AGO)

    call_command("image_reap")

    line, summary, left = capsys.readouterr().out.splitlines()
    assert line == (
        f"{image.pk} saving->queued upload {Transfer.objects.get().pk} silent since "
        "2000-01-01T00:00:00Z: The transfer sent no heartbeat for too long."
    )
    assert summary == "1 transfer ended."
    assert left.startswith("1 transfer still has partial data in a store")
    assert Event.objects.get().interface == "command"


@pytest.mark.parametrize("is_terminal", [True, False])
def test_a_terminal_is_shown_how_far_it_is(
    is_terminal: bool, make_image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    shown = io.StringIO()
    monkeypatch.setattr(shown, "isatty", lambda: is_terminal)
    monkeypatch.setattr("sys.stderr", shown)
    make_image("saving")
    Transfer.objects.update(heartbeat_at=LONG_AGO)

    call_command("image_reap")

    assert (" transfers" in shown.getvalue()) is is_terminal
    assert (" orphaned objects" in shown.getvalue()) is is_terminal


def test_a_dry_run_lists_and_changes_nothing(make_image: Any, capsys: Any) -> None:
    image = make_image("saving")
    Transfer.objects.update(heartbeat_at=LONG_AGO)

    call_command("image_reap", "--dry-run")

    out = capsys.readouterr().out
    assert out.startswith(f"{image.pk} saving upload ")
    assert "1 transfer would be ended." in out
    assert Image.objects.get().status == "saving"
    assert not Event.objects.exists()


def test_a_living_transfer_is_left_alone(make_image: Any, capsys: Any) -> None:
    make_image("saving")

    call_command("image_reap")

    assert capsys.readouterr().out == "0 transfers ended.\n"
    assert Image.objects.get().status == "saving"


def test_bytes_that_cannot_be_removed_yet_are_named(
    make_image: Any, capsys: Any, settings: Any
) -> None:
    make_image("saving")
    Transfer.objects.update(heartbeat_at=LONG_AGO)
    stores.default().put(Transfer.objects.get().key, [b"half"])
    settings.IMAGECATALOG_STORES = "other=file:///tmp/none"

    call_command("image_reap")

    assert "1 transfer still has partial data" in capsys.readouterr().out
    assert Image.objects.get().status == "queued"
