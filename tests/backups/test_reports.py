"""The report of the last backup and its verification, which the service's metrics show."""

from __future__ import annotations

import errno
import os
from contextlib import suppress
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone

from images.backups import manifests
from images.models import BackupReport
from tests.backups.conftest import MARKS, Make

pytestmark = MARKS


def test_a_backup_is_reported_and_its_verification_too(make_backup: Make) -> None:
    path = make_backup()

    report = BackupReport.objects.get()
    assert report.made_at
    assert (timezone.now() - report.made_at).total_seconds() < 60
    assert report.is_whole is None

    call_command("backup_verify", str(path))

    report = BackupReport.objects.get()
    assert report.made_at
    assert report.is_whole


@pytest.mark.parametrize("damaged", ["manifest.json", "database"])
def test_a_damaged_backup_is_reported_until_one_is_whole(
    make_backup: Make, damaged: str
) -> None:
    path = make_backup()
    (file,) = path.glob(f"{damaged}*")
    right = file.read_bytes()
    file.write_bytes(b"damaged")
    verify(path)
    assert BackupReport.objects.get().is_whole is False

    file.write_bytes(right)
    verify(path, quick=True)  # which looks at too little to say that it is whole
    assert BackupReport.objects.get().is_whole is False

    verify(path)
    assert BackupReport.objects.get().is_whole


def test_a_name_that_is_wrong_is_no_damaged_backup(make_backup: Make) -> None:
    path = make_backup()

    for wrong in (path.with_name("absent"), path.parent):
        assert "is not a backup" in told(wrong, status=2)

    report = BackupReport.objects.get()
    assert (report.is_whole, report.is_unchecked) == (None, False)


def test_a_backup_without_its_manifest_is_damaged(make_backup: Make) -> None:
    path = make_backup()
    (path / "manifest.json").unlink()

    assert "manifest.json is missing" in told(path, status=1)
    assert BackupReport.objects.get().is_whole is False


@pytest.mark.sqlite
def test_a_check_that_is_not_possible_says_nothing_about_the_backup(
    make_backup: Make,
) -> None:
    path = make_backup()
    verify(path)
    manifest = path / "manifest.json"
    right = manifest.read_text()
    manifest.write_text(right.replace('"sqlite"', '"postgresql"'))

    said = told(path, status=2)

    assert f"{path} could not be checked: This is a backup of a PostgreSQL" in said
    report = BackupReport.objects.get()
    assert (report.is_whole, report.is_unchecked) == (True, True)
    manifest.write_text(right)
    verify(path)
    assert BackupReport.objects.get().is_unchecked is False


@pytest.mark.postgres
def test_without_pg_restore_a_backup_is_not_checked(
    make_backup: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = make_backup()
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "could not be checked: pg_restore is not installed" in told(path, status=2)
    report = BackupReport.objects.get()
    assert (report.is_whole, report.is_unchecked) == (None, True)


@pytest.mark.postgres
def test_without_the_right_to_create_databases_a_backup_is_not_checked(
    make_backup: Make,
) -> None:
    path = make_backup()
    with connection.cursor() as cursor:
        cursor.execute("CREATE ROLE verifier NOCREATEDB")
        cursor.execute("GRANT ALL ON ALL TABLES IN SCHEMA public TO verifier")
        cursor.execute("SET ROLE verifier")
    try:
        assert "ALTER ROLE … CREATEDB" in told(path, status=2)
        report = BackupReport.objects.get()
        assert (report.is_whole, report.is_unchecked) == (None, True)
    finally:
        with connection.cursor() as cursor:
            cursor.execute("RESET ROLE")
            cursor.execute("DROP OWNED BY verifier")
            cursor.execute("DROP ROLE verifier")


@pytest.mark.parametrize(
    ("number", "status", "found"),
    [(errno.EIO, 1, (False, False)), (errno.ENOSPC, 2, (None, True))],
)
def test_a_disk_that_cannot_read_a_backup_has_damaged_it_and_a_full_one_has_not(
    number: int,
    status: int,
    found: tuple[bool | None, bool],
    make_backup: Make,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = make_backup()

    def fail(*args: object) -> list[str]:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(manifests, "damaged_files", fail)

    assert os.strerror(number) in told(path, status)
    report = BackupReport.objects.get()
    assert (report.is_whole, report.is_unchecked) == found


def verify(path: Path, quick: bool = False) -> None:
    with suppress(CommandError):
        call_command("backup_verify", str(path), quick=quick)


def told(path: Path, status: int) -> str:
    """The message of `backup_verify`, which must end with this exit code."""
    with pytest.raises(CommandError) as caught:
        call_command("backup_verify", str(path))
    assert caught.value.returncode == status
    return str(caught.value)
