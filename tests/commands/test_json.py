"""Lists of commands as JSON: an object for each line, and nothing else."""

from __future__ import annotations

import json
from contextlib import suppress
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from django.contrib.auth.models import User
from django.core.management import CommandError, call_command
from django.utils import timezone

from imagecatalog.identity.models import Project, RoleAssignment
from images import lifecycle, stores
from images.access import Caller
from images.models import QuotaLimit, Transfer
from tests.cache.conftest import bucket, cache_dir, download, remote

__all__ = ["bucket", "cache_dir", "remote"]  # fixtures

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str]) -> Any:
    """The objects that ``run("user_list")`` prints with --json."""

    def run(*words: str) -> list[Any]:
        with suppress(CommandError):  # something was found
            call_command(*words, "--json")
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return run


@pytest.fixture
def alice() -> User:
    user = User.objects.create_user("alice", is_active=False)
    project = Project.objects.create(id="id-of-lab", name="läb")
    RoleAssignment.objects.create(user=user, project=project, role="member")
    return user


def test_users(run: Any, alice: User) -> None:
    role = {"role": "member", "project_id": "id-of-lab", "project": "läb"}

    assert run("user_list") == [
        {"id": alice.pk, "name": "alice", "enabled": False, "roles": [role]}
    ]


def test_credentials(run: Any, alice: User, capsys: Any) -> None:
    call_command("credential_create", "alice", "robot", "--expires", "1d")
    capsys.readouterr()

    (robot,) = run("credential_list")

    assert (robot["name"], robot["user"], robot["actions"]) == ("robot", "alice", None)
    assert robot["expires_at"] > timezone.now().isoformat()
    assert robot["last_used_at"] is None


def test_limits_of_projects(run: Any) -> None:
    QuotaLimit.objects.create(project="lab", name="image_count_total", value=7)

    assert run("quota_show") == [
        {"project": "lab", "name": "image_count_total", "limit": 7}
    ]
    (count,) = [
        it for it in run("quota_show", "lab") if it["name"] == "image_count_total"
    ]
    assert (count["used"], count["limit"], count["source"]) == (0, 7, "project")


def test_findings(run: Any, admin: Caller) -> None:
    formats = {"disk_format": "raw", "container_format": "bare"}
    image = lifecycle.create(formats, {}, [], admin)
    lifecycle.upload(image.pk, [b"x"], admin)
    key = f"{image.pk[:2]}/{image.pk}.{uuid4().hex}"
    stores.default().put(key, [b"12345"])

    (finding,) = run("image_reconcile")
    assert finding["kind"] == "orphan-bytes"
    assert (finding["image_id"], finding["key"], finding["size"]) == (image.pk, key, 5)
    *_, fixed = run("image_reconcile", "--fix")
    assert (fixed["key"], fixed["fixed"], fixed["reason"]) == (key, True, None)
    assert run("image_reconcile") == []


def test_damaged_copies(run: Any, make_image: Any) -> None:
    make_image("active", data=b"good")
    image = make_image("active", data=b"bytes")
    location = image.locations.get()
    stores.default().delete(location.key)

    (copy,) = run("image_verify")

    assert (copy["image_id"], copy["key"]) == (image.pk, location.key)
    assert copy["trouble"].startswith("missing-bytes")


@pytest.mark.parametrize(
    ("words", "status"), [(["--dry-run"], "saving"), ([], "saving->queued")]
)
def test_dead_transfers(
    words: list[str], status: str, run: Any, make_image: Any
) -> None:
    image = make_image("saving")
    Transfer.objects.update(heartbeat_at="2000-01-01T00:00:00Z")

    (transfer,) = run("image_reap", *words)

    assert (transfer["image_id"], transfer["status"]) == (image.pk, status)
    assert transfer["heartbeat_at"] == "2000-01-01T00:00:00Z"


def test_purged_images(run: Any, make_image: Any) -> None:
    long_ago = timezone.now() - timedelta(days=40)
    image = make_image("deleted", deleted_at=long_ago)

    assert run("image_purge", "--dry-run") == [{"image_id": image.pk, "purged": False}]
    assert run("image_purge") == [{"image_id": image.pk, "purged": True}]


def test_what_is_cached(run: Any, remote: Any) -> None:
    image = remote(2048)
    download(image)
    download(image)

    (entry,) = run("image_cache", "--list")
    assert (entry["image_id"], entry["size"], entry["hits"]) == (image.pk, 2048, 1)
    (summary,) = run("image_cache")
    assert (summary["images"], summary["bytes"], summary["hits"]) == (1, 2048, 1)
