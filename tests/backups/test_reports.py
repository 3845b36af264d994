"""The report of the last backup and its verification, which the service's metrics show."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path

import pytest
from django.core.management import CommandError, call_command
from django.utils import timezone

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
    verify(make_backup().with_name("absent"))

    assert BackupReport.objects.get().is_whole is None


def verify(path: Path, quick: bool = False) -> None:
    with suppress(CommandError):
        call_command("backup_verify", str(path), quick=quick)
