"""The readiness check, which names the components that keep a machine from serving."""

from __future__ import annotations

import errno
import threading
from pathlib import Path
from typing import Any

import pytest
from django.db import Error

from images import errors, outages, stores
from images.operations import health, readiness
from images.stores.local import LocalStore
from tests import servers

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch, settings: Any, tmp_path: Path) -> None:
    """Forget the results of other tests, and let a worker have just reported."""
    monkeypatch.setattr(health._check, "_last", None)
    monkeypatch.setattr(readiness._store_check, "_last", None)
    monkeypatch.setattr(outages, "_current", None)
    settings.IMAGECATALOG_DATA_DIR = tmp_path
    health.report()


def failing() -> dict[str, str]:
    return {name: text for name, text in readiness.problems().items() if text}


def test_a_machine_that_can_serve_has_no_problem() -> None:
    assert failing() == {}


def test_a_worker_that_does_not_report_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(health, "SILENCE_SECONDS", 0)

    assert failing() == {"worker": health.NO_WORKER}


def test_a_database_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail() -> None:
        raise Error("secret details")

    monkeypatch.setattr(health, "leave_pool", fail)

    problems = failing()

    assert set(problems) == {"database"}
    assert "secret" not in problems["database"]


def test_a_store_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(self: LocalStore, key: str) -> Any:
        raise errors.StoreError("The disk is gone.")

    monkeypatch.setattr(LocalStore, "open", fail)

    assert failing() == {"store": "The disk is gone."}


def test_a_file_system_that_fails_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(store: Any) -> None:
        raise OSError(errno.ESTALE, "Stale file handle")

    monkeypatch.setattr("images.lifecycle.check_mounted", fail)

    assert failing() == {"store": "[Errno 116] Stale file handle"}


def test_a_store_that_hangs_is_asked_once(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, go_on = [], threading.Event()

    def hang(self: LocalStore, key: str) -> Any:
        asked.append(key)
        go_on.wait(60)
        raise errors.DataMissing

    monkeypatch.setattr(LocalStore, "open", hang)
    monkeypatch.setattr(readiness, "STORE_SECONDS", 0.01)

    assert failing() == failing() == {"store": "The default store does not answer."}
    go_on.set()
    readiness._store_check._last.result(60)
    assert len(asked) == 1


def test_the_key_that_is_asked_for_can_be_one_of_an_image() -> None:
    with pytest.raises(errors.DataMissing):
        stores.default().open(readiness.ABSENT)


def test_a_bucket_that_does_not_exist_is_named(s3: servers.S3, settings: Any) -> None:
    settings.IMAGECATALOG_STORES = s3.store().replace(s3.bucket, "no-such-bucket")

    problems = failing()

    assert set(problems) == {"store"}
    assert problems["store"].startswith("The bucket does not exist. Create the bucket")


def test_a_file_takes_a_machine_out(tmp_path: Path) -> None:
    (tmp_path / "maintenance").touch()

    assert failing() == {"maintenance": f"The file {tmp_path}/maintenance exists."}
