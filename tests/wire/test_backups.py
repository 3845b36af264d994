"""The drill: a backup of a service in use, restored elsewhere."""

from __future__ import annotations

import json
import os
import threading
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests import servers
from tests.wire.api import Api
from tests.wire.conftest import FREQUENT_ROUNDS, Start
from tests.wire.evidence import Evidence

pytestmark = pytest.mark.slow


class Uploads:
    """Images that clients upload, and whose upload was acknowledged."""

    def __init__(self, service: servers.Service) -> None:
        self.service = service
        self.acknowledged: dict[str, bytes] = {}

    def run(self, number: int, stop: threading.Event) -> None:
        with Api(self.service) as api:
            while not stop.is_set():
                image_id, data = api.new(), os.urandom(300_000)
                assert api.upload(image_id, data).status_code == 204
                self.acknowledged[image_id] = data

    def wait_for(self, more: int) -> None:
        least = len(self.acknowledged) + more
        servers.wait_until(lambda: len(self.acknowledged) >= least, "uploads")


@pytest.fixture(autouse=True)
def programs(monkeypatch: pytest.MonkeyPatch) -> None:
    path = f"{servers.postgres_programs()}{os.pathsep}{os.environ['PATH']}"
    monkeypatch.setenv("PATH", path)


def manage(env: dict[str, str], *words: str) -> str:
    done = servers.manage(env, *words)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def findings(env: dict[str, str]) -> list[dict[str, Any]]:
    printed = servers.manage(env, "image_reconcile", "--json").stdout
    return [json.loads(line) for line in printed.splitlines()]


def test_all_that_was_acknowledged_before_a_backup_is_there_after_its_restore(
    start: Start, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    with start() as evidence:
        uploads = Uploads(evidence.service)
        with Api(evidence.service) as api:
            trashed = api.new()
            api.upload(trashed, b"in the trash")
            api.delete(f"images/{trashed}")
        with servers.in_threads(4, uploads.run):
            uploads.wait_for(8)
            before = dict(uploads.acknowledged)
            path = backup(evidence, "--with-bytes", "--verify")
            uploads.wait_for(8)
        newer = set(uploads.acknowledged) - set(before)

    env = elsewhere(evidence.service.env, tmp_path, request)
    report = manage(env, "restore", path)

    assert "The background workers are paused" in report
    assert not {it["image_id"] for it in findings(env)} & set(before)
    folder = tmp_path / "elsewhere"
    with servers.catalogue(folder, env) as restored:
        with Api(restored) as api:
            for image_id, data in before.items():
                assert api.data(image_id) == data
        check_pause(Evidence(restored, evidence.folder), trashed)
    for image_id in newer:
        assert evidence.files(image_id)  # nothing of the old catalogue was removed


def backup(evidence: Evidence, *options: str) -> str:
    """The folder of a new backup; of a catalogue in a bucket, its URL in another bucket."""
    env = evidence.service.env
    to = str(evidence.service.data_dir / "backups")
    if "DATABASE_URL" in env:
        _, _, url = env["IMAGECATALOG_STORES"].partition("=")
        to = url.replace("?", f"-backups-{uuid4().hex}?")
    printed = evidence.service.manage("backup", *options, "--json", "--to", to)
    path: str = json.loads(printed.splitlines()[0])["path"]
    return path


def elsewhere(
    env: dict[str, str], folder: Path, request: pytest.FixtureRequest
) -> dict[str, str]:
    """The settings of a machine that has nothing of the catalogue."""
    other = env | FREQUENT_ROUNDS
    other |= {
        "IMAGECATALOG_DATA_DIR": str(folder / "elsewhere" / "data"),
        "IMAGECATALOG_SCRUB_TIME": "0",
    }
    if "DATABASE_URL" in env:
        server = request.getfixturevalue("postgres_url")
        s3: servers.S3 = request.getfixturevalue("s3_server")
        other["DATABASE_URL"] = servers.new_database(server)
        other["IMAGECATALOG_STORES"] = s3.store(prefix="elsewhere")
    (folder / "elsewhere").mkdir()
    return other


def check_pause(evidence: Evidence, trashed: str) -> None:
    def is_healthy() -> bool:
        with Api(evidence.service) as api:
            return api.get("../healthz").ok

    servers.wait_until(is_healthy, "a report of the worker")
    assert evidence.status(trashed) == "pending_delete"
    evidence.service.manage("worker_resume")
    evidence.wait_for(trashed, "deleted", 30)


@pytest.mark.long
def test_a_catalogue_is_replaced_and_nothing_of_it_is_removed(start: Start) -> None:
    with start() as evidence, Api(evidence.service) as api:
        old = api.new()
        api.upload(old, b"in the backup")
        path = backup(evidence)  # its data stays in the store
        api.delete(f"images/{old}")
        newer = api.new()
        api.upload(newer, b"newer than the backup")
    # As if the service had been stopped for a while.
    forget = "from images.models import WorkerReport as it; it.objects.all().delete()"
    env = evidence.service.env
    manage(env, "shell", "--no-imports", "-c", forget)

    report = manage(env, "restore", path, "--replace", "--yes")

    assert evidence.files(newer)
    assert f"orphan-bytes - {store_of(env)} {newer[:2]}/{newer}." in report
    assert evidence.rows("SELECT id, status FROM images_image") == [(old, "active")]
    assert len(replaced(evidence)) == 1
    with start() as again, Api(again.service) as api:
        assert api.data(old) == b"in the backup"


def store_of(env: dict[str, str]) -> str:
    return "objects" if "DATABASE_URL" in env else "local"


def replaced(evidence: Evidence) -> list[object]:
    """The databases that were put aside."""
    if "DATABASE_URL" in evidence.service.env:
        schemas = "pg_namespace WHERE nspname LIKE 'catalogue_replaced_%'"
        return [*evidence.rows(f"SELECT nspname FROM {schemas}")]
    return [*evidence.service.data_dir.glob("*.sqlite3.replaced-*")]
