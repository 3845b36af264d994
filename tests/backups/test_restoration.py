"""Restores with damaged databases, leftover logs, killed restores and full disks."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from images.backups import (
    BackupError,
    contents,
    places,
    restoration,
    sqlite,
)
from tests.backups.conftest import MARKS, Make

pytestmark = MARKS


@pytest.fixture
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The file of another catalogue's database, into which is restored."""
    path = tmp_path / "elsewhere" / "catalogue.sqlite3"
    path.parent.mkdir()
    with contents.opened_sqlite(str(path)) as other:
        monkeypatch.setattr(sqlite, "connection", other)
        monkeypatch.setattr(restoration, "connection", other)
        monkeypatch.setattr(restoration.db, "connection", other)
        yield path


@pytest.fixture
def backup(make_backup: Make) -> Path:
    """A backup, made before the database is another one."""
    return make_backup()


def images(database: Path) -> int:
    with closing(sqlite3.connect(database)) as opened:
        (count,) = opened.execute("SELECT COUNT(*) FROM images_image").fetchone()
    return int(count)


@pytest.mark.sqlite
def test_a_damaged_database_is_put_aside(backup: Path, elsewhere: Path) -> None:
    elsewhere.write_bytes(b"no database at all" * 1000)

    assert restoration.is_occupied()
    sqlite.restore(backup, "Restored.", "T")

    assert images(elsewhere) == 0
    aside = elsewhere.with_name("catalogue.sqlite3.replaced-T")
    assert aside.read_bytes().startswith(b"no database at all")


@pytest.mark.sqlite
def test_a_log_that_another_database_has_left_is_not_applied(
    backup: Path, elsewhere: Path
) -> None:
    with closing(sqlite3.connect(elsewhere, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE other (text)")
        log = Path(f"{elsewhere}-wal").read_bytes()
    elsewhere.unlink()
    Path(f"{elsewhere}-wal").write_bytes(log)

    sqlite.restore(backup, "Restored.", "T")

    assert images(elsewhere) == 0
    assert Path(f"{elsewhere}.replaced-T-wal").read_bytes() == log


@pytest.mark.sqlite
def test_a_database_that_a_process_has_open_is_not_replaced(
    backup: Path, elsewhere: Path
) -> None:
    with closing(sqlite3.connect(elsewhere, isolation_level=None)) as other:
        other.execute("PRAGMA journal_mode=WAL")
        other.execute("CREATE TABLE other (text)")

        with pytest.raises(BackupError, match="Stop the service"):
            sqlite.restore(backup, "Restored.", "T")

    assert list(elsewhere.parent.glob("*catalogue*")) == [elsewhere]


@pytest.mark.sqlite
def test_a_restore_onto_a_full_disk_changes_nothing(
    backup: Path, elsewhere: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copyfile(backup / sqlite.FILE, elsewhere)
    full = sqlite3.OperationalError("database or disk is full")

    def fail(database: Any, reason: str) -> None:
        raise full

    monkeypatch.setattr(sqlite, "pause_workers", fail)
    with pytest.raises(BackupError, match="disk is full"):
        sqlite.restore(backup, "Restored.", "T")

    assert list(elsewhere.parent.iterdir()) == [elsewhere]


@pytest.mark.sqlite
def test_a_disk_that_becomes_full_ends_a_backup_with_a_sentence(
    make_image: Any, small_disk: Path
) -> None:
    for _ in range(3):
        make_image("queued", os_hash_value="x", name="n" * 200)
    (small_disk / "filling").write_bytes(bytes((8 << 20) - 200_000))

    with pytest.raises(CommandError, match=r"disk is full|No space left"):
        call_command("backup", to=str(small_disk / "backups"))

    assert list((small_disk / "backups").iterdir()) == []


@pytest.mark.postgres
def test_tables_of_a_killed_restore_count_as_a_catalogue(
    make_backup: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_backup()
    with connection.cursor() as cursor:
        cursor.execute("CREATE TEMP TABLE django_migrations (LIKE django_migrations)")
    try:
        # As pg_restore leaves it, when it is killed between tables and rows.
        with pytest.raises(CommandError, match="--replace"):
            call_command("restore", str(path))
    finally:
        with connection.cursor() as cursor:
            cursor.execute("DROP TABLE pg_temp.django_migrations")


def test_files_of_other_programs_are_left_alone(
    make_backup: Make, backups: Path
) -> None:
    (backups / "film.part").mkdir(parents=True)
    (backups / "download.part").touch()

    make_backup()

    assert (backups / "film.part").is_dir()
    assert (backups / "download.part").is_file()


def test_a_copy_of_another_size_is_not_shared_and_damage_ends_with_afresh(
    make_backup: Make, make_image: Any
) -> None:
    make_image("active", data=b"right")
    make_image("active", data=b"longer")
    for copy in (make_backup("--with-bytes") / "objects").rglob("*"):
        if copy.is_file():
            copy.write_bytes(b"wrong")

    path = make_backup("--with-bytes")
    found = {it.read_bytes() for it in path.rglob("objects/**/*") if it.is_file()}
    assert found == {b"wrong", b"longer"}

    with pytest.raises(CommandError, match="1 problem found.* --afresh"):
        call_command("backup_verify", str(path))
    call_command(
        "backup_verify", str(make_backup("--with-bytes", "--afresh")), verbosity=0
    )


def test_a_link_to_a_backup_is_read_but_is_none(
    make_backup: Make, backups: Path
) -> None:
    path = make_backup()
    link = backups / "latest"
    link.symlink_to(path.name)

    call_command("backup_verify", str(link))
    link.rename(backups / "2030-01-01T00-00-00.000000Z")

    newest = make_backup("--keep", "1")
    assert places.of(str(backups)).existing() == [str(newest)]
