"""The command that creates the key for what is published, and the checks of that key."""

from __future__ import annotations

import json
import stat
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command

from imagecatalog import checks
from images.management.doctor import publishing, storage
from tests.published_family import KEY_USER

pytestmark = pytest.mark.usefixtures("publish_key")


def test_a_key_is_created_in_the_data_folder_and_shown(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.IMAGECATALOG_DATA_DIR = tmp_path / "data"
    folder = tmp_path / "data" / "publish-key"

    call_command("publish_key", "--create", KEY_USER)

    key, advice = capsys.readouterr().out.splitlines()
    assert f"Set IMAGECATALOG_PUBLISH_KEY={folder}, and restart" in advice
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    settings.IMAGECATALOG_PUBLISH_KEY = str(folder)
    call_command("publish_key", "--json")
    shown = json.loads(capsys.readouterr().out)
    assert key == f"{shown['fingerprint']}  {KEY_USER}"
    assert (shown["user"], shown["folder"]) == (KEY_USER, str(folder))


def test_a_key_in_the_folder_that_is_set_needs_no_setting(
    settings: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    settings.IMAGECATALOG_PUBLISH_KEY = str(tmp_path / "key")

    call_command("publish_key", "--create", KEY_USER)

    (_, advice) = capsys.readouterr().out.splitlines()
    assert advice.startswith("Keep a copy of the folder")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "IMAGECATALOG_PUBLISH_KEY is not set: nothing is signed. Create a key"),
        (["{folder}"], "there is no key in {folder}. Make a key with"),
        (
            ["{folder}/file/key", "--create", KEY_USER],
            "{folder}/file/key cannot be written",
        ),
        (["{folder}", "--create", "Images"], "Use for example"),
    ],
)
def test_what_cannot_be_done_is_refused_with_what_to_do(
    arguments: list[str], message: str, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_PUBLISH_KEY = ""
    (tmp_path / "file").touch()

    with pytest.raises(CommandError) as refused:
        call_command("publish_key", *(it.format(folder=tmp_path) for it in arguments))

    assert message.format(folder=tmp_path) in str(refused.value)


def test_a_good_key_passes_all_checks(signed: None) -> None:
    (result,) = publishing.key()

    assert checks.publish_key() == []
    assert result.status == "ok"
    assert result.text.endswith(f"({KEY_USER}) can sign")


def test_a_wrong_folder_stops_every_command(
    signed: None, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_PUBLISH_KEY = str(tmp_path)

    (found,) = checks.publish_key()
    (result,) = publishing.key()

    assert found.id == "imagecatalog.E011"
    assert found.msg == result.text
    assert "there is no key in" in result.text
    assert result.status == "fail"


def test_a_key_is_not_looked_at_while_nothing_is_published(settings: Any) -> None:
    settings.IMAGECATALOG_PUBLISH = "off"
    settings.IMAGECATALOG_PUBLISH_KEY = "/nowhere"

    assert checks.publish_key() == list(publishing.key()) == []


@pytest.mark.parametrize(("mode", "number"), [(0o700, 0), (0o755, 1)])
def test_a_key_that_everybody_can_read_is_warned_of(
    mode: int, number: int, settings: Any, tmp_path: Path
) -> None:
    settings.IMAGECATALOG_PUBLISH_KEY = str(tmp_path / "key")
    (tmp_path / "key").mkdir()
    (tmp_path / "key").chmod(mode)

    advice = [it.advice for it in storage.permissions()]

    assert advice.count(f"chmod o-rwx {tmp_path}/key") == number
