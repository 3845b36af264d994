"""The data folder: made by those who need it, for one user, and every failure is a sentence."""

from __future__ import annotations

import errno
import os
import re
import subprocess
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from imagecatalog import installation
from imagecatalog.identity import first_user
from images import data_folder
from images.management import schema
from tests import servers

KEY = "IMAGECATALOG_SECRET_KEY"
PASSWORD = "IMAGECATALOG_ADMIN_PASSWORD"
# Root then obeys the modes of files, like every user.
WITHOUT_ROOTS_RIGHTS = (
    ("setpriv", "--bounding-set=-dac_override,-dac_read_search")
    if os.geteuid() == 0
    else ()
)


def run(
    folder: Path, *command: str, **variables: str
) -> subprocess.CompletedProcess[str]:
    env = {name: value for name, value in os.environ.items() if name != KEY}
    env |= {"IMAGECATALOG_DATA_DIR": str(folder)} | variables
    return servers.manage(env, *command, timeout=60)


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o7777


# Where it is


def test_the_service_of_a_user_has_its_data_in_the_users_folder_for_state(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    monkeypatch.setenv("HOME", str(tmp_path))

    monkeypatch.delenv("XDG_STATE_HOME", raising=False)
    assert data_folder.of_user() == tmp_path / ".local/state/imagecatalog"
    monkeypatch.setenv("XDG_STATE_HOME", "not/absolute")
    assert data_folder.of_user() == tmp_path / ".local/state/imagecatalog"
    monkeypatch.setenv("XDG_STATE_HOME", "/srv/state")
    assert data_folder.of_user() == Path("/srv/state/imagecatalog")


def test_the_service_of_root_has_its_data_in_a_folder_of_the_system(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)

    assert data_folder.of_user() == Path("/var/lib/imagecatalog")


# Who makes it


@pytest.mark.slow
@pytest.mark.parametrize(
    "command",
    ["help", "--version", "version", "check", "diffsettings", "help serve", "serve -h"],
)
def test_a_command_that_needs_no_data_makes_nothing(
    command: str, tmp_path: Path
) -> None:
    done = run(tmp_path / "data", *command.split())

    assert done.returncode == 0, done.stderr
    assert not (tmp_path / "data").exists()


def test_the_version_is_that_of_the_catalogue(tmp_path: Path) -> None:
    assert (
        run(tmp_path, "--version").stdout == f"imagecatalog {installation.version()}\n"
    )


@pytest.mark.slow
def test_migrate_makes_a_new_database_that_others_cannot_read(tmp_path: Path) -> None:
    done = run(tmp_path / "new", "migrate", "--verbosity", "0")

    assert done.returncode == 0, done.stderr
    assert mode(tmp_path / "new") == 0o750
    assert mode(tmp_path / "new" / servers.SQLITE) == 0o600


def test_a_secret_is_made_once_and_for_its_owner_only(tmp_path: Path) -> None:
    path = tmp_path / "data" / "secret-key"

    secret = data_folder.secret_key(path)

    assert not data_folder.is_weak(secret)
    assert data_folder.secret_key(path) == secret
    assert mode(path) == 0o600
    assert mode(path.parent) == 0o750
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.sqlite
@pytest.mark.parametrize(("before", "after"), [(0o644, 0o640), (0o660, 0o640)])
@pytest.mark.parametrize("suffix", ["", "-wal", "-shm"])
def test_existing_files_are_closed_to_others(
    before: int,
    after: int,
    suffix: str,
    data_dir: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = data_dir / f"old.sqlite3{suffix}"
    path.touch()
    path.chmod(before)
    data_dir.chmod(0o755)
    settings = {"NAME": str(data_dir / "old.sqlite3")}
    monkeypatch.setattr(data_folder.connection, "settings_dict", settings)

    data_folder.prepare()

    assert mode(path) == after
    assert mode(data_dir) == 0o750


# What fails


@pytest.mark.slow
@pytest.mark.parametrize("command", ["migrate", "serve"])
@pytest.mark.parametrize("place", ["file", "file/below"])
def test_a_folder_that_cannot_be_made_is_one_sentence(
    command: str, place: str, tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    options = ["--bind", "127.0.0.1:0"] if command == "serve" else []

    done = run(tmp_path / place, command, *options)

    assert done.returncode == 1
    assert (
        f"The user {data_folder.user()} cannot use {tmp_path}/{place}: " in done.stderr
    )
    assert "IMAGECATALOG_DATA_DIR" in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.slow
@pytest.mark.parametrize("command", ["serve", "doctor", "image_status"])
def test_a_folder_that_the_user_cannot_enter_is_one_sentence(
    command: str, tmp_path: Path
) -> None:
    (folder := tmp_path / "closed").mkdir(mode=0)
    options = ["--bind", "127.0.0.1:0"] if command == "serve" else []
    env = os.environ | {"IMAGECATALOG_DATA_DIR": str(folder)}

    done = servers.manage(env, command, *options, timeout=60, by=WITHOUT_ROOTS_RIGHTS)

    said = done.stdout + done.stderr
    assert done.returncode == 1
    assert re.search(rf"user {data_folder.user()} cannot use .*{folder}", said)
    assert "Traceback" not in said
    assert "a new catalogue is made" not in said


@pytest.mark.slow
def test_a_full_disk_is_one_sentence(small_disk: Path) -> None:
    with (small_disk / "filler").open("wb", buffering=0) as file, suppress(OSError):
        while file.write(bytes(1 << 12)):
            pass

    done = run(small_disk, "serve", "--bind", "127.0.0.1:0")

    assert done.returncode == 1
    assert f"The user {data_folder.user()} cannot use " in done.stderr
    assert str(small_disk) in done.stderr
    assert "Free space on its disk." in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.EACCES, "chown -R"),
        (errno.EROFS, "Mount its disk writable"),
        (errno.ENOSPC, "Free space"),
    ],
)
def test_the_sentence_says_what_to_do(number: int, advice: str) -> None:
    said = data_folder.sentence(Path("/srv/key"), OSError(number, os.strerror(number)))

    assert said.startswith(f"The user {data_folder.user()} cannot use /srv/key: ")
    assert advice in said


@pytest.mark.django_db
def test_root_is_warned_of_a_folder_of_another_user(
    data_dir: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if os.geteuid() != 0:
        pytest.skip("only root can give a folder away")
    os.chown(data_dir, 4711, 4711)

    with pytest.raises(SystemCheckError, match="belongs to the user 4711") as caught:
        call_command("check", fail_level="WARNING")

    assert "sudo -u 4711" in str(caught.value)


# Disks that are not mounted


@pytest.mark.slow
def test_without_its_database_a_catalogue_is_not_begun_anew_beside_data(
    tmp_path: Path,
) -> None:
    store = tmp_path / "images" / "ab"
    store.mkdir(parents=True)
    (store / "image.1").write_bytes(b"data")
    stores = f"local=file://{tmp_path}/images"

    done = run(
        tmp_path / "data",
        *("serve", "--bind", "127.0.0.1:0"),
        IMAGECATALOG_STORES=stores,
    )

    assert done.returncode == 1
    assert f"There is no catalogue in the database {tmp_path}/data/" in done.stderr
    assert "but the store 'local' has data. Mount its disk" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "data").exists()


@pytest.mark.slow
def test_a_new_catalogue_can_be_forbidden(tmp_path: Path) -> None:
    folder = tmp_path / "data"
    folder.mkdir()

    done = run(
        folder,
        *("serve", "--bind", "127.0.0.1:0"),
        IMAGECATALOG_NEW_CATALOGUE="off",
    )

    assert done.returncode == 1
    assert f"There is no catalogue in the database {folder}/" in done.stderr
    assert list(folder.iterdir()) == []


@pytest.mark.django_db
def test_a_database_with_tables_is_not_new() -> None:
    assert not schema.is_new()


def test_a_new_postgresql_is_new(tmp_path: Path, postgres_url: str) -> None:
    done = run(
        tmp_path,
        *("serve", "--bind", "127.0.0.1:0"),
        DATABASE_URL=servers.new_database(postgres_url),
        IMAGECATALOG_NEW_CATALOGUE="off",
    )

    assert done.returncode == 1
    assert "There is no catalogue in the database. Mount its disk" in done.stderr


# Secrets


@pytest.mark.django_db
@pytest.mark.parametrize("password", ["a", "short", "password123"])
def test_a_first_user_gets_no_password_that_can_be_guessed(
    password: str, settings: Any, django_user_model: Any
) -> None:
    settings.IMAGECATALOG_ADMIN_PASSWORD = password

    with pytest.raises(ImproperlyConfigured, match=PASSWORD):
        first_user.ensure()

    assert not django_user_model.objects.exists()


@pytest.mark.django_db
@pytest.mark.parametrize("key", ["x", "x" * 64, "abcdefghij"])
def test_a_new_catalogue_gets_no_key_that_can_be_guessed(
    key: str, settings: Any
) -> None:
    settings.SECRET_KEY = key

    with pytest.raises(ImproperlyConfigured, match=KEY):
        first_user.ensure()


@pytest.mark.django_db
def test_a_catalogue_with_users_keeps_its_password_and_its_key_and_is_warned(
    settings: Any, django_user_model: Any
) -> None:
    django_user_model.objects.create_user("eve")
    settings.SECRET_KEY = settings.IMAGECATALOG_SECRET_KEY = "x"
    settings.IMAGECATALOG_ADMIN_PASSWORD = "a"

    assert first_user.ensure() is None
    with pytest.raises(SystemCheckError, match=f"{KEY} can be guessed"):
        call_command("check", fail_level="WARNING")


@pytest.mark.slow
def test_serve_refuses_a_weak_password_with_a_sentence(tmp_path: Path) -> None:
    done = run(tmp_path, "serve", "--bind", "127.0.0.1:0", **{PASSWORD: "a"})

    assert done.returncode == 1
    assert f"{PASSWORD}: This password is too short." in done.stderr
    assert "Traceback" not in done.stderr
