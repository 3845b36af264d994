"""Backups: what they have and what they must not have, and what their verification notices."""

from __future__ import annotations

import json
import shutil
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from images import encryption, job_queue
from images.access import Caller
from images.backups import (
    contents,
    creation,
    manifests,
    places,
    postgresql,
    sqlite,
)
from images.job_queue import leases
from images.management import schema
from images.models import ImageLocation, Transfer, TransferKind, WorkerReport
from tests.backups.conftest import MARKS, Make

pytestmark = MARKS

SECRET = {"url": "https://example.org/disk?signature=never-to-be-seen"}


def stored(path: Path) -> bytes:
    """All that the files of a backup have, unpacked."""
    names = [it for it in path.rglob("*") if it.is_file()]
    return b"".join(it.read_bytes() for it in names)


def restored(path: Path) -> AbstractContextManager[Any]:
    """The database of a backup, restored for a test."""
    module = postgresql if connection.vendor == "postgresql" else sqlite
    return module.restored_for_a_test(path)


def objects_of(path: Path) -> list[Path]:
    return [it for it in (path / "objects").rglob("*") if it.is_file()]


def test_a_backup_has_all_rows_of_one_moment(
    make_backup: Make, make_image: Any
) -> None:
    make_image("active", data=b"four")
    make_image("queued")

    path = make_backup()

    facts = json.loads((path / "manifest.json").read_text())["facts"]
    assert facts["tables"]["images_image"] == 2
    assert facts["stores"] == {"local": {"objects": 1, "bytes": 4}}
    assert "images.0001_initial" in facts["migrations"]
    call_command("backup_verify", str(path))


def test_only_the_owner_can_read_a_backup(make_backup: Make, make_image: Any) -> None:
    make_image("active", data=b"four")

    path = make_backup("--with-bytes")

    assert {it.stat().st_mode & 0o777 for it in path.rglob("*") if it.is_file()} == {
        0o600
    }
    inside = [it for it in path.rglob("*") if it.is_dir()]
    assert len(inside) == 3
    for folder in (path.parent, path, *inside):
        assert folder.stat().st_mode & 0o777 == 0o700


def test_a_backup_has_no_secrets_of_transfers(
    make_backup: Make, make_image: Any
) -> None:
    secret = encryption.encrypt(SECRET)
    image = make_image("importing")
    Transfer.objects.filter(image=image).update(
        kind=TransferKind.WEB_DOWNLOAD, status="waiting", secret=secret
    )
    ended = make_image("queued")
    Transfer.objects.create(
        image=ended, kind="copy", status="done", store="local", key="k"
    )

    path = make_backup()

    assert secret.encode() not in stored(path)
    with restored(path) as database, database.cursor() as cursor:
        cursor.execute("SELECT secret FROM images_transfer ORDER BY status")
        assert cursor.fetchall() == [("",), (contents.REMOVED_SECRET,)]


def test_a_restored_catalogue_has_the_jobs_that_had_not_ended(
    make_backup: Make, member: Caller
) -> None:
    job_queue.request("test", member, key="a")
    leases.claim(job_queue.request("test", member, key="b"), "files")

    path = make_backup()

    with restored(path) as database, database.cursor() as cursor:
        cursor.execute("SELECT key, status, attempts FROM images_job ORDER BY key")
        assert cursor.fetchall() == [("a", "waiting", 0), ("b", "running", 1)]


@pytest.mark.sqlite
def test_a_secret_that_was_erased_is_not_in_the_unused_pages_either(
    make_backup: Make, make_image: Any
) -> None:
    with connection.cursor() as cursor:
        cursor.execute("PRAGMA secure_delete=OFF")
    secret = encryption.encrypt({"url": "https://example.org/" + "x" * 20_000})
    image = make_image("importing")
    Transfer.objects.filter(image=image).update(secret=secret)
    Transfer.objects.filter(image=image).delete()

    found = stored(make_backup())

    parts = (secret[at : at + 100].encode() for at in range(0, len(secret), 100))
    assert not any(part in found for part in parts)


def test_the_key_in_the_data_folder_is_backed_up(
    make_backup: Make, data_dir: Path
) -> None:
    (data_dir / "secret-key").write_text("a key")

    assert (make_backup() / "secret-key").read_text() == "a key"


def test_a_key_of_the_environment_is_not_backed_up(
    make_backup: Make, data_dir: Path, settings: Any
) -> None:
    (data_dir / "secret-key").write_text("an old key")
    settings.IMAGECATALOG_SECRET_KEY = "a key that is elsewhere"

    path = make_backup()

    assert not (path / "secret-key").exists()
    assert b"elsewhere" not in stored(path)


@pytest.mark.sqlite
def test_rows_that_come_while_the_backup_is_made_do_not_matter(
    make_backup: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    count = contents.facts

    def count_late(database: Any) -> Any:
        WorkerReport.objects.update_or_create(
            pk=1, defaults={"reported_at": timezone.now()}
        )
        return count(database)

    monkeypatch.setattr(sqlite, "facts", count_late)
    path = make_backup()

    call_command("backup_verify", str(path))


def test_data_is_copied_on_request(make_backup: Make, make_image: Any) -> None:
    make_image("active", data=b"the data")
    make_image("pending_delete", data=b"in the trash")

    assert not (make_backup() / "objects").exists()
    path = make_backup("--with-bytes")

    found = {it.read_bytes() for it in objects_of(path)}
    assert found == {b"the data", b"in the trash"}
    call_command("backup_verify", str(path))


def test_data_that_the_previous_backup_has_is_shared_with_it(
    make_backup: Make, make_image: Any
) -> None:
    make_image("active", data=b"old")
    first = make_backup("--with-bytes")
    make_backup()
    make_image("active", data=b"new")

    second = make_backup("--with-bytes")

    links = {it.read_bytes(): it.stat().st_nlink for it in objects_of(second)}
    assert links == {b"old": 2, b"new": 1}
    shutil.rmtree(first)
    call_command("backup_verify", str(second))


def test_an_object_that_is_lost_already_does_not_prevent_a_backup(
    make_backup: Make,
    make_image: Any,
    data_dir: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    image = make_image("active", data=b"lost")
    (data_dir / "images" / image.locations.get().key).unlink()

    path = make_backup("--with-bytes")

    assert json.loads((path / "manifest.json").read_text())["objects"]["missing"] == 1
    capsys.readouterr()
    call_command("backup_verify", str(path))
    assert "The stores lacked 1 object when" in capsys.readouterr().out


def test_what_is_purged_while_a_backup_is_made_is_missing_and_no_problem(
    backups: Path, make_image: Any, data_dir: Path
) -> None:
    image = make_image("active", data=b"purged")

    def purge(objects: Any) -> Any:
        (data_dir / "images" / image.locations.get().key).unlink()
        ImageLocation.objects.all().delete()
        yield from objects

    name, manifest = creation.create(places.of(str(backups)), purge)

    assert manifest.objects == {"copied": 0, "linked": 0, "missing": 1}
    call_command("backup_verify", name)


def test_a_store_that_fails_prevents_a_backup_with_data(
    make_backup: Make, make_image: Any, backups: Path
) -> None:
    image = make_image("active")
    ImageLocation.objects.filter(image=image).update(store="cold")

    with pytest.raises(
        CommandError, match="of store 'cold' cannot be read: .*configure"
    ):
        make_backup("--with-bytes")
    assert list(backups.iterdir()) == []


@pytest.mark.parametrize("name", ["database", "manifest.json", "secret-key"])
def test_a_damaged_file_is_noticed(
    name: str, make_backup: Make, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "secret-key").write_text("a key")
    path = make_backup()
    (file,) = path.glob(f"{name}*")
    content = bytearray(file.read_bytes())
    content[0] ^= 1
    file.write_bytes(content)

    with pytest.raises(CommandError, match="1 problem found|is damaged"):
        call_command("backup_verify", str(path), "--quick")
    with pytest.raises(CommandError, match="cannot be restored|is damaged"):
        call_command("restore", str(path))


def test_a_missing_file_is_named(
    make_backup: Make, data_dir: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (data_dir / "secret-key").write_text("a key")
    path = make_backup()
    (path / "secret-key").unlink()

    with pytest.raises(CommandError, match="1 problem found"):
        call_command("backup_verify", str(path))
    assert "secret-key is missing." in capsys.readouterr().out


def test_data_that_is_damaged_or_missing_is_named(
    make_backup: Make, make_image: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("active", data=b"right")
    make_image("active", data=b"gone!")
    path = make_backup("--with-bytes")
    for file in objects_of(path):
        if file.read_bytes() == b"gone!":
            file.unlink()
        else:
            file.write_bytes(b"wrong")

    with pytest.raises(CommandError, match="2 problems found"):
        call_command("backup_verify", str(path))
    printed = capsys.readouterr().out
    assert "is damaged." in printed
    assert "1 objects have no copy." in printed


@pytest.mark.parametrize(
    ("made", "checked", "said", "facts"),
    [
        ([], ["--quick"], "not restored. The backup does not have the data", (0, 0)),
        (["--with-bytes"], ["--quick"], "The data of images was not read", (0, 0)),
        ([], [], "nothing is wrong. The backup does not have the data", (1, 0)),
        (["--with-bytes"], [], "nothing is wrong.\n", (1, 1)),
    ],
)
def test_a_verification_says_what_it_has_checked(
    made: list[str],
    checked: list[str],
    said: str,
    facts: tuple[bool, bool],
    make_backup: Make,
    capsys: pytest.CaptureFixture[str],
) -> None:
    path = make_backup(*made)

    call_command("backup_verify", str(path), *checked)
    printed = capsys.readouterr().out
    call_command("backup_verify", str(path), *checked, "--json")
    document = json.loads(capsys.readouterr().out)

    assert said in printed
    assert ("nothing is wrong" in printed) == (not checked)
    assert (document["restored"], document["data_read"]) == facts


def test_rows_that_are_missing_are_noticed(
    make_backup: Make, make_image: Any, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("queued")
    path = make_backup()
    manifest = path / "manifest.json"
    document = json.loads(manifest.read_text())
    document["facts"]["tables"]["images_image"] = 2
    document["facts"]["newest_event"] = 99
    manifest.write_text(json.dumps(document))

    with pytest.raises(CommandError, match="2 problems"):
        call_command("backup_verify", str(path))
    printed = capsys.readouterr().out
    assert "The table images_image has 1 rows, and had 2." in printed
    assert "The newest event is None, and was 99." in printed


@pytest.mark.sqlite
def test_a_database_that_was_damaged_when_it_was_copied_is_noticed(
    make_backup: Make, capsys: pytest.CaptureFixture[str]
) -> None:
    path = make_backup()
    (path / sqlite.FILE).write_bytes(b"no database at all" * 1000)
    manifest = path / "manifest.json"
    document = json.loads(manifest.read_text())
    manifest.unlink()
    document["files"] = manifests.of_files(path)
    manifest.write_text(json.dumps(document))

    with pytest.raises(CommandError, match="1 problem found"):
        call_command("backup_verify", str(path))
    assert "The database is damaged: file is not a database" in capsys.readouterr().out


def test_a_verification_leaves_nothing_behind(make_backup: Make) -> None:
    path = make_backup()
    before = sorted(path.iterdir())

    call_command("backup_verify", str(path))

    assert sorted(path.iterdir()) == before
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute(
                "SELECT datname FROM pg_database WHERE datname LIKE '%verify%'"
            )
            assert cursor.fetchall() == []


def test_what_is_no_backup_is_refused(tmp_path: Path) -> None:
    for command in ("backup_verify", "restore"):
        with pytest.raises(CommandError, match="is not a backup"):
            call_command(command, str(tmp_path / "nothing"))


def test_unfinished_backups_are_removed_by_the_next_one(
    make_backup: Make, backups: Path
) -> None:
    killed = backups / "2026-01-01T00-00-00.000000Z.part"
    killed.mkdir(parents=True)

    path = make_backup()

    assert list(backups.iterdir()) == [path]


def test_only_the_newest_backups_are_kept(make_backup: Make, backups: Path) -> None:
    (backups / "something-else").mkdir(parents=True)
    old = make_backup()
    middle = make_backup()

    new = make_backup("--keep", "2")

    assert places.of(str(backups)).existing() == [str(middle), str(new)]
    assert not old.exists()
    assert (backups / "something-else").exists()


def test_two_backups_are_not_made_at_once(make_backup: Make, backups: Path) -> None:
    backups.mkdir()

    def second(draft: Any, previous: Any) -> None:
        with pytest.raises(CommandError, match="Another backup is being made"):
            make_backup()

    places.of(str(backups)).create(second)


def test_a_folder_is_needed(settings: Any) -> None:
    with pytest.raises(CommandError, match=r"--to.*IMAGECATALOG_BACKUP_DIR"):
        call_command("backup", to="")


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.touch()

    with pytest.raises(CommandError, match=f"{occupied}: File exists. Use a folder"):
        call_command("backup", to=str(occupied / "backups"))


def test_the_facts_are_printed_as_json(
    make_image: Any, backups: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make_image("active", data=b"four")

    call_command("backup", "--with-bytes", "--verify", "--json", to=str(backups))

    facts, checked = map(json.loads, capsys.readouterr().out.splitlines())
    assert facts["images"] == 1
    assert facts["objects"] == {"copied": 1, "linked": 0, "missing": 0}
    assert Path(facts["path"]).parent == backups
    assert (checked["path"], checked["data_read"]) == (facts["path"], True)


@pytest.mark.postgres
@pytest.mark.parametrize(
    ("script", "message"),
    [
        (None, "pg_dump is not installed"),
        ("echo 'pg_dump (PostgreSQL) 9.6.24'", "too old for the server"),
        ("exit 1", "its version is unknown"),
        (
            '[ "$1" = --version ] && echo "pg_dump (PostgreSQL) 99" && exit; echo no; exit 3',
            "pg_dump failed: exit code 3",
        ),
    ],
)
def test_a_pg_dump_that_cannot_be_used_is_named(
    script: str | None,
    message: str,
    tmp_path: Path,
    backups: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if script:
        program = tmp_path / "pg_dump"
        program.write_text(f"#!/bin/sh\n{script}\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))

    with pytest.raises(CommandError, match=message):
        call_command("backup", to=str(backups))
    assert list(backups.iterdir()) == []


# Restores that are refused


def test_a_catalogue_is_not_overwritten(make_backup: Make) -> None:
    path = make_backup()

    with pytest.raises(CommandError, match=r"There is a catalogue already.*--replace"):
        call_command("restore", str(path))


def test_a_catalogue_in_use_is_not_replaced(make_backup: Make) -> None:
    path = make_backup()
    WorkerReport.objects.create(pk=1, reported_at=timezone.now())

    with pytest.raises(CommandError, match="Stop the service"):
        call_command("restore", str(path), "--replace", "--yes")


def test_a_backup_of_a_newer_release_is_refused(make_backup: Make) -> None:
    path = make_backup()
    manifest = path / "manifest.json"
    document = json.loads(manifest.read_text())
    document["facts"]["migrations"].append("images.9999_later")
    manifest.write_text(json.dumps(document))

    with pytest.raises(CommandError, match=r"newer release .*images\.9999_later"):
        call_command("restore", str(path))


def test_a_backup_of_another_kind_of_database_is_refused(make_backup: Make) -> None:
    path = make_backup()
    manifest = path / "manifest.json"
    document = json.loads(manifest.read_text())
    document["database"] = "oracle"
    manifest.write_text(json.dumps(document))

    with pytest.raises(CommandError, match="Name a database of the same kind"):
        call_command("restore", str(path))


def test_a_backup_in_an_unknown_format_is_refused(make_backup: Make) -> None:
    path = make_backup()
    manifest = path / "manifest.json"
    document = json.loads(manifest.read_text())
    manifest.write_text(json.dumps(document | {"format": 2, "later": 1}))

    with pytest.raises(CommandError, match="a format that this release does not know"):
        call_command("restore", str(path))


def test_a_database_that_is_not_migrated_is_not_backed_up(
    backups: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(schema, "pending", lambda: ["images.9999_later"])

    with pytest.raises(CommandError, match=r"images\.9999_later.*migrate"):
        call_command("backup", to=str(backups))
