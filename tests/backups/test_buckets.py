"""Backups in a bucket: their completeness, the data that they share, damage, and wrong URLs."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.core.management import CommandError, call_command

from images.backups import buckets, places, restoration
from images.models import BackupReport
from images.stores.objects import ObjectStore
from tests import servers
from tests.backups.conftest import MARKS

pytestmark = MARKS

KILLED = "2026-01-01T00-00-00.000000Z"
Make = Callable[..., dict[str, Any]]


@pytest.fixture
def bucket(s3: servers.S3) -> str:
    """The URL of a prefix without backups."""
    return f"s3://{s3.bucket}/backups-{uuid4().hex}?endpoint={s3.endpoint}"


@pytest.fixture
def files(bucket: str, s3: servers.S3) -> Callable[[], list[Path]]:
    """``files()``: all objects of the bucket's prefix, where the server keeps them."""
    prefix = bucket.partition("?")[0].rpartition("/")[2]

    def files() -> list[Path]:
        found = (s3.folder / prefix).rglob("*")
        return [it for it in found if it.is_file()]

    return files


@pytest.fixture
def make(bucket: str, capsys: pytest.CaptureFixture[str]) -> Make:
    """``make("--keep", "2")["path"]``: the URL of a new backup with the data of images."""

    def make(*options: str) -> dict[str, Any]:
        call_command("backup", "--with-bytes", "--json", *options, to=bucket)
        line, *_ = capsys.readouterr().out.splitlines()
        made: dict[str, Any] = json.loads(line)
        return made

    return make


def names(files: list[Path]) -> list[str]:
    return sorted(it.name for it in files)


def test_a_backup_in_a_bucket_has_all_data_and_can_be_restored(
    make: Make, make_image: Any, data_dir: Path
) -> None:
    image = make_image("active", data=b"the data")
    path = data_dir / "images" / image.locations.get().key

    made = make("--verify")

    path.unlink()
    (path.parent / f"{path.name}.part").touch()  # of a restore that was killed
    with places.opened(made["path"]) as backup:
        counts = restoration.restore_objects(backup)
    assert counts == {"stored": 1, "present": 0, "left_out": 0}
    assert path.read_bytes() == b"the data"


def test_a_backup_that_fails_leaves_nothing_in_the_bucket(
    make: Make,
    make_image: Any,
    files: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    make_image("active", data=b"the data")
    put, stored = ObjectStore.put, list[str]()

    def fail_at_the_end(self: ObjectStore, key: str, *args: Any) -> None:
        if key.endswith("manifest.json"):
            stored.extend(names(files()))
            raise KeyboardInterrupt
        put(self, key, *args)

    monkeypatch.setattr(ObjectStore, "put", fail_at_the_end)
    with pytest.raises(KeyboardInterrupt):
        make()

    assert len(stored) >= 2  # the manifest is the last object
    assert files() == []


def test_a_backup_of_a_killed_process_does_not_count_and_is_removed_later(
    make: Make,
    bucket: str,
    files: Callable[[], list[Path]],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    made = make()
    store = places.of(bucket)._store  # type: ignore[attr-defined]
    store.put(f"{KILLED}/database.sqlite3", [b"the half of it"])

    assert places.of(bucket).existing() == [made["path"]]
    with pytest.raises(CommandError, match="is not a backup"):
        call_command("restore", bucket.replace("?", f"/{KILLED}?"))
    make()
    assert [it for it in files() if KILLED in it.parts] != []
    monkeypatch.setattr(buckets, "ABANDONED", timedelta(0))
    make()
    assert [it for it in files() if KILLED in it.parts] == []


def test_data_of_the_previous_backup_is_not_read_from_the_store_again(
    make: Make, make_image: Any, data_dir: Path
) -> None:
    image = make_image("active", data=b"old")
    make()
    (data_dir / "images" / image.locations.get().key).unlink()

    made = make("--verify")

    assert made["objects"] == {"copied": 0, "linked": 1, "missing": 0}
    assert make("--afresh")["objects"] == {"copied": 0, "linked": 0, "missing": 1}


def test_only_the_newest_backups_of_a_bucket_are_kept(
    make: Make, bucket: str, files: Callable[[], list[Path]]
) -> None:
    make()
    middle = make()

    newest = make("--keep", "2")

    assert places.of(bucket).existing() == [middle["path"], newest["path"]]
    assert len({it.parts[-2] for it in files() if it.name == "manifest.json"}) == 2


def test_damage_in_a_bucket_is_noticed(
    make: Make,
    make_image: Any,
    files: Callable[[], list[Path]],
    capsys: pytest.CaptureFixture[str],
) -> None:
    make_image("active", data=b"right")
    url = make()["path"]
    (copy,) = (it for it in files() if "objects" in it.parts)
    copy.write_bytes(b"wrong")

    with pytest.raises(CommandError, match="1 problem found"):
        call_command("backup_verify", url)
    assert "is damaged." in capsys.readouterr().out
    (database,) = (it for it in files() if it.name.startswith("database"))
    database.unlink()
    with pytest.raises(CommandError, match="database.* is missing"):
        call_command("restore", url)


def test_a_damaged_manifest_in_a_bucket_is_reported(
    make: Make, files: Callable[[], list[Path]]
) -> None:
    url = make()["path"]
    (manifest,) = (it for it in files() if it.name == "manifest.json")
    manifest.write_bytes(b"x" * manifest.stat().st_size)

    with pytest.raises(CommandError, match=r"manifest\.json is not readable"):
        call_command("backup_verify", url)
    assert BackupReport.objects.get().is_whole is False


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("s3://key:hunter2@bucket/x", "The URL of the backups: .* user name"),
        ("ftp://host/x", "The URL of the backups: .* s3://"),
        ("file:///srv/x", "The URL of the backups: .* s3://"),
    ],
)
def test_a_wrong_url_is_refused_without_repeating_it(wrong: str, message: str) -> None:
    with pytest.raises(CommandError, match=message) as caught:
        call_command("backup", to=wrong)
    assert "hunter2" not in str(caught.value)


def test_a_bucket_that_does_not_exist_is_named_by_its_store(
    s3: servers.S3,
) -> None:
    with pytest.raises(CommandError, match="NoSuchBucket"):
        call_command("backup", to=f"s3://no-such-bucket/x?endpoint={s3.endpoint}")


def test_a_url_without_the_time_of_a_backup_is_refused(bucket: str) -> None:
    with pytest.raises(CommandError, match="does not end with the time of one"):
        call_command("backup_verify", bucket)
