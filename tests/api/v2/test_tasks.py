"""``/v2/tasks``: imports of all images, for administrators."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from images import imports, lifecycle, stores, uploads
from images.access import Caller
from images.api import query
from images.imports import ImportRequest
from images.models import Image, Transfer
from images.operations import consistency
from tests.copies import work
from tests.web import serving_files

DATA = os.urandom(1000)
RAW = {"disk_format": "raw", "container_format": "bare"}
ABSENT = "00000000-0000-4000-8000-000000000000"
Import = Callable[[Caller], str]


@pytest.fixture
def imported(db: None) -> Import:
    """``imported(member)``: the id of a task that this caller has asked for."""

    def imported(caller: Caller) -> str:
        image = lifecycle.create(RAW | {"owner": caller.project}, {}, [], caller)
        uploads.stage(image.pk, [DATA], caller)
        wanted = ImportRequest("glance-direct", document={"method": {}})
        return str(imports.request_import(image.pk, wanted, caller).id)

    return imported


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of DATA on a web server."""
    files = {"disk.raw": DATA}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield f"{url}/disk.raw"


def ids(client: Client, query: str = "") -> list[str]:
    response = client.get(f"/v2/tasks{query}")
    assert response.status_code == 200, response.content
    return [task["id"] for task in response.json()["tasks"]]


def new(client: Client, url: str, **more: Any) -> HttpResponse:
    """Ask for the import of a URL into a new image."""
    given = {
        "import_from": url,
        "import_from_format": "raw",
        "image_properties": {"name": "imported"},
    }
    document = {"type": "import", "input": given | more}
    response: HttpResponse = client.post(
        "/v2/tasks", json.dumps(document), content_type="application/json"
    )
    return response


def test_the_tasks_of_an_image_end_after_the_newest(
    api: Any, make_image: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "MAX_LIMIT", 2)
    image = make_image("active")
    requested = [uuid4() for _ in range(3)]
    for number, task_id in enumerate(requested):
        image.transfers.create(
            kind="clone",
            task_id=task_id,
            task_project="project-a",
            started_at=f"2100-01-0{number + 1}T00:00:00Z",
        )

    shown = api.member.get(f"/v2/images/{image.pk}/tasks").json()["tasks"]

    assert [task["id"] for task in shown] == [str(it) for it in requested[:0:-1]]


def test_tasks_are_listed_newest_first(
    api: Any, imported: Import, member: Caller, admin: Caller
) -> None:
    first, second = imported(member), imported(admin)

    assert ids(api.admin) == [second, first]
    assert ids(api.admin, "?sort_dir=asc") == [first, second]
    assert ids(api.admin, f"?owner={member.project}") == [first]
    work()
    assert ids(api.admin, "?status=success&sort_key=updated_at") == [second, first]
    assert ids(api.admin, "?status=pending") == []


def test_a_list_says_of_a_task_what_is_short(
    api: Any, imported: Import, member: Caller
) -> None:
    task_id = imported(member)

    listed = api.admin.get("/v2/tasks").json()

    assert listed["schema"] == "/v2/schemas/tasks"
    assert listed["first"] == "/v2/tasks"
    (stub,) = listed["tasks"]
    shown = api.admin.get(f"/v2/tasks/{task_id}").json()
    assert shown.keys() - stub.keys() == {"input", "result", "message"}
    assert shown | stub == shown


def test_a_task_is_shown(api: Any, imported: Import, member: Caller) -> None:
    task_id = imported(member)
    work()

    shown = api.admin.get(f"/v2/tasks/{task_id}").json()

    image = Image.objects.get()
    assert shown | {"created_at": "", "updated_at": "", "expires_at": ""} == {
        "id": task_id,
        "type": "api_image_import",
        "status": "success",
        "owner": member.project,
        "image_id": image.pk,
        "request_id": member.request_id,
        "user_id": member.user,
        "input": {"image_id": image.pk, "import_req": {"method": {}}},
        "result": {"image_id": image.pk},
        "message": "",
        "created_at": "",
        "updated_at": "",
        "expires_at": "",
        "self": f"/v2/tasks/{task_id}",
        "schema": "/v2/schemas/task",
    }
    assert shown["expires_at"].endswith("Z")


@pytest.mark.parametrize("sort_key", ["created_at", "updated_at", "id", "status"])
@pytest.mark.parametrize("sort_dir", ["asc", "desc"])
def test_pages_have_each_task_once(
    api: Any, imported: Import, member: Caller, sort_key: str, sort_dir: str
) -> None:
    made = {imported(member) for _ in range(5)}
    Transfer.objects.update(heartbeat_at=timezone.now())  # the same for all
    path, found = f"/v2/tasks?limit=2&sort_key={sort_key}&sort_dir={sort_dir}", []

    while path:
        page = api.admin.get(path).json()
        found += [task["id"] for task in page["tasks"]]
        path = page.get("next", "")

    assert len(found) == len(made)
    assert set(found) == made


def test_a_full_last_page_has_no_next(
    api: Any, imported: Import, member: Caller
) -> None:
    imported(member)

    assert "next" not in api.admin.get("/v2/tasks?limit=1").json()
    assert api.admin.get("/v2/tasks?limit=0").json()["tasks"] == []


@pytest.mark.parametrize(
    "query",
    [
        "status=active",
        "type=api_image_import",
        "sort_key=message",
        "sort_dir=up",
        "limit=-1",
        "limit=x",
        "marker=x",
        f"marker={ABSENT}",
        "owner=%00",
    ],
)
def test_a_malformed_query_is_refused(api: Any, query: str) -> None:
    assert api.admin.get(f"/v2/tasks?{query}").status_code == 400


def test_an_expired_task_vanishes(api: Any, imported: Import, member: Caller) -> None:
    task_id = imported(member)
    work()

    Transfer.objects.update(ended_at=timezone.now() - timedelta(hours=49))

    assert ids(api.admin) == []
    assert api.admin.get(f"/v2/tasks/{task_id}").status_code == 404


def test_the_task_of_a_deleted_image_is_kept(
    api: Any, imported: Import, member: Caller
) -> None:
    task_id = imported(member)
    lifecycle.delete(Image.objects.get().pk, member)

    shown = api.admin.get(f"/v2/tasks/{task_id}").json()

    assert (shown["status"], shown["message"]) == ("failure", "The image was deleted.")


def test_only_administrators_use_the_tasks_api(
    api: Any, imported: Import, member: Caller
) -> None:
    task_id = imported(member)

    assert api.member.get("/v2/tasks").status_code == 403
    assert api.member.get(f"/v2/tasks/{task_id}").status_code == 403
    assert new(api.member, "https://example.org/").status_code == 403


def test_a_rule_lets_projects_see_their_own_tasks(
    api: Any,
    imported: Import,
    member: Caller,
    admin: Caller,
    settings: Any,
    tmp_path: Path,
) -> None:
    policy = tmp_path / "policy.json"
    policy.write_text('{"tasks_api_access": ""}')
    settings.IMAGECATALOG_POLICY_FILE = str(policy)
    own, foreign = imported(member), imported(admin)

    assert ids(api.member) == [own]
    assert api.member.get(f"/v2/tasks/{foreign}").status_code == 404


def test_no_task_can_be_deleted(api: Any, imported: Import, member: Caller) -> None:
    response = api.admin.delete(f"/v2/tasks/{imported(member)}")

    assert (response.status_code, response.headers["Allow"]) == (405, "GET")


def test_a_task_makes_an_image_from_a_url(api: Any, admin: Caller, web: str) -> None:
    response = new(api.admin, f"{web}?token=secret")

    assert response.status_code == 201
    task = response.json()
    assert response.headers["Location"].endswith(f"/v2/tasks/{task['id']}")
    assert (task["type"], task["status"]) == ("import", "pending")
    assert task["input"]["import_from"] == f"{web}?***"
    assert ids(api.admin, "?type=import") == [task["id"]]
    work()
    image = Image.objects.get()
    assert (image.name, image.status, image.owner) == (
        "imported",
        "active",
        admin.project,
    )
    assert (image.disk_format, image.container_format) == ("raw", "bare")
    assert b"".join(lifecycle.read(image.pk)) == DATA
    assert list(consistency.check(read_bytes=True)) == []


@pytest.mark.parametrize(
    "document",
    [
        [],
        {},
        {"type": "export", "input": {}},
        {"type": "api_image_import", "input": {}},
        {"type": "import"},
        {"type": "import", "input": []},
        {"type": "import", "input": {"import_from": "https://example.org/"}},
    ],
)
def test_a_malformed_task_is_refused(api: Any, document: Any) -> None:
    response = api.admin.post(
        "/v2/tasks", json.dumps(document), content_type="application/json"
    )

    assert response.status_code == 400
    assert not Image.objects.exists()


@pytest.mark.parametrize(
    ("url", "more", "code"),
    [
        ("file:///etc/passwd", {}, 400),
        ("http://127.0.0.1:22/", {}, 400),
        ("https://example.org/", {"import_from": 1}, 400),
        ("https://example.org/", {"import_from_format": "exe"}, 400),
        ("https://example.org/", {"image_properties": []}, 400),
        ("https://example.org/", {"image_properties": {"disk_format": "exe"}}, 400),
        ("https://example.org/", {"image_properties": {"status": "active"}}, 403),
    ],
)
def test_a_refused_task_makes_no_image(
    api: Any, url: str, more: Any, code: int
) -> None:
    assert new(api.admin, url, **more).status_code == code

    assert not Image.objects.exists()
    assert list(stores.default().keys()) == []


def test_an_image_over_a_limit_is_not_made(api: Any, web: str, settings: Any) -> None:
    settings.IMAGECATALOG_USER_STORAGE_QUOTA = 10

    assert new(api.admin, web).status_code == 413
    assert not Image.objects.exists()
    assert not Transfer.objects.exists()
