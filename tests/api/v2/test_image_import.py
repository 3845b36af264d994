"""``POST /v2/images/{id}/import``, and the tasks that it leaves."""

from __future__ import annotations

import gzip
import hashlib
import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from django.http import HttpResponse
from django.test import Client
from django.utils import timezone

from images import errors, lifecycle, uploads
from images.access import Caller
from images.api import authentication, query
from images.imports import queue
from images.models import Image, Status, Transfer, TransferStatus
from images.operations import consistency
from images.transfers import limits
from tests.api.v2.conftest import DATA
from tests.copies import waiting_copies, work
from tests.rows import status
from tests.web import serving_files

DIRECT = {"method": {"name": "glance-direct"}}


@pytest.fixture
def far(settings: Any, tmp_path: Path) -> None:
    """A second store."""
    settings.IMAGECATALOG_STORES += f",far=file://{tmp_path}/far"


@pytest.fixture
def web(tmp_path: Path, settings: Any) -> Iterator[str]:
    """The URL of DATA on a web server."""
    files = {"disk.raw": DATA}
    with serving_files(tmp_path / "web", settings, **files) as url:
        yield f"{url}/disk.raw"


def ask(client: Client, image: Image, body: Any, **headers: str) -> HttpResponse:
    """Request an import with this body."""
    return client.post(
        f"/v2/images/{image.pk}/import",
        json.dumps(body),
        content_type="application/json",
        headers={name.replace("_", "-"): value for name, value in headers.items()},
    )


def show(client: Client, image: Image) -> Any:
    return client.get(f"/v2/images/{image.pk}").json()


def tasks(client: Client, image: Image) -> Any:
    return client.get(f"/v2/images/{image.pk}/tasks").json()["tasks"]


def test_an_import_is_accepted_and_done_later(api: Any, staged: Image) -> None:
    response = ask(api.member, staged, DIRECT)

    assert (response.status_code, response.content) == (202, b"")
    assert "Location" not in response.headers
    assert response.headers["Content-Type"].startswith("text/html")
    assert show(api.member, staged)["status"] == "importing"
    work()
    assert show(api.member, staged)["status"] == "active"


def test_an_image_tells_how_its_import_goes_on(api: Any, staged: Image) -> None:
    assert "os_glance_import_task" not in show(api.member, staged)
    ask(api.member, staged, DIRECT)

    shown = show(api.member, staged)
    (task,) = tasks(api.member, staged)
    assert shown["os_glance_import_task"] == task["id"]
    assert shown["os_glance_importing_to_stores"] == "local"
    assert shown["os_glance_failed_import"] == ""
    listed = api.member.get("/v2/images").json()["images"]
    assert listed == [shown]
    work()
    assert "os_glance_import_task" not in show(api.member, staged)
    (listed,) = api.member.get("/v2/images").json()["images"]
    assert not [name for name in listed if "os_glance" in name]


def test_an_image_tells_which_store_failed(api: Any, queued: Image, web: str) -> None:
    method = {"name": "web-download", "uri": f"{web}-absent"}
    assert ask(api.member, queued, {"method": method}).status_code == 202

    work()

    shown = show(api.member, queued)
    assert shown["status"] == "queued"
    assert "os_glance_import_task" not in shown
    assert shown["os_glance_importing_to_stores"] == ""
    assert shown["os_glance_failed_import"] == "local"


def test_a_task_tells_what_was_asked_for_and_what_became_of_it(
    api: Any, staged: Image
) -> None:
    body = DIRECT | {"all_stores_must_succeed": True}
    response = ask(api.member, staged, body)

    (task,) = tasks(api.member, staged)
    request_id = response.headers["X-Openstack-Request-Id"]
    assert task | {"id": "", "created_at": "", "updated_at": ""} == {
        "id": "",
        "type": "api_image_import",
        "status": "pending",
        "owner": staged.owner,
        "image_id": staged.pk,
        "request_id": request_id,
        "user_id": task["user_id"],
        "input": {"image_id": staged.pk, "import_req": body | {"stores": []}},
        "result": None,
        "message": "",
        "created_at": "",
        "updated_at": "",
        "expires_at": None,
        "deleted_at": None,
        "deleted": False,
    }
    assert not task["created_at"].endswith("Z")
    work()
    (task,) = tasks(api.member, staged)
    assert (task["status"], task["result"]) == ("success", {"image_id": staged.pk})
    assert task["expires_at"] > task["updated_at"]


def test_a_task_keeps_nothing_that_means_nothing(api: Any, staged: Image) -> None:
    method = {"name": "glance-direct", "uri": "x" * 5000, "more": ["\x00"]}
    body = {"method": method, "all_stores": False, "more": "x" * 5000}

    assert ask(api.member, staged, body).status_code == 202

    (task,) = tasks(api.member, staged)
    assert task["input"]["import_req"] == {
        "method": {"name": "glance-direct"},
        "all_stores": False,
        "stores": [],
    }


def test_a_failed_task_tells_the_reason(api: Any, staged: Image) -> None:
    Image.objects.filter(pk=staged.pk).update(disk_format="qcow2")
    ask(api.member, staged, DIRECT)

    work()

    (task,) = tasks(api.member, staged)
    assert (task["status"], task["result"]) == ("failure", None)
    assert "qcow2" in task["message"]
    assert list(consistency.check()) == []


def test_an_expired_task_is_left_out(api: Any, staged: Image) -> None:
    ask(api.member, staged, DIRECT)
    work()

    Transfer.objects.update(ended_at=timezone.now() - timedelta(hours=49))

    assert tasks(api.member, staged) == []


def test_only_the_newest_tasks_are_listed(
    api: Any, staged: Image, member: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(query, "MAX_LIMIT", 2)
    now, transfer = timezone.now(), Transfer.objects.get()
    for seconds in (3, 1, 2):
        transfer.pk = transfer.task_id = uuid4()
        transfer.started_at = now - timedelta(seconds=seconds)
        transfer.status, transfer.task_project = TransferStatus.FAILED, member.project
        transfer.save(force_insert=True)

    listed = [task["created_at"] for task in tasks(api.member, staged)]

    newest = [now - timedelta(seconds=seconds) for seconds in (1, 2)]
    assert listed == [moment.strftime("%Y-%m-%dT%H:%M:%S.%f") for moment in newest]


def test_an_image_without_imports_has_no_tasks(api: Any, staged: Image) -> None:
    assert tasks(api.member, staged) == []


def test_the_tasks_of_others_are_for_administrators(
    api: Any, staged: Image, stranger: Caller
) -> None:
    ask(api.admin, staged, DIRECT)

    assert tasks(api.member, staged) == []
    assert len(tasks(api.admin, staged)) == 1
    assert api.stranger.get(f"/v2/images/{staged.pk}/tasks").status_code == 404


def test_callers_without_a_project_see_no_tasks_of_each_other(
    api: Any, staged: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    ask(api.admin, staged, DIRECT)
    Transfer.objects.update(task_project=None)
    Image.objects.update(visibility="public")
    reader = Caller("zoe", None, frozenset({"reader"}), interface="v2")
    monkeypatch.setitem(authentication.MODES, "embedded", lambda request: reader)

    assert tasks(Client(), staged) == []


def test_the_query_of_a_url_is_in_no_task_and_no_history(
    api: Any, queued: Image, web: str
) -> None:
    method = {"name": "web-download", "uri": f"{web}?token=secret"}
    ask(api.member, queued, {"method": method})
    work()

    (task,) = tasks(api.admin, queued)
    history = api.admin.get(f"/v2/images/{queued.pk}/history")
    assert task["input"]["import_req"]["method"]["uri"] == f"{web}?***"
    assert b"secret" not in json.dumps(task).encode() + history.content


def test_data_is_imported_from_a_url(api: Any, queued: Image, web: str) -> None:
    method = {"name": "web-download", "uri": web}

    assert ask(api.member, queued, {"method": method}).status_code == 202
    work()

    assert show(api.member, queued)["status"] == "active"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ([], "Import request requires a 'method' field."),
        ({}, "Import request requires a 'method' field."),
        ({"method": "glance-direct"}, "Import request requires a 'method' field."),
        ({"method": {}}, "Import request requires a 'name' field."),
        ({"method": {"name": 1}}, "Import request requires a 'name' field."),
        ({"method": {"name": "x"}}, "Unknown import method name 'x'."),
        (DIRECT | {"all_stores": "yes"}, "'all_stores' must be a boolean"),
        (DIRECT | {"all_stores_must_succeed": 1}, "must be a boolean"),
        (DIRECT | {"stores": "local"}, "'stores' must be a list"),
        (DIRECT | {"stores": [1]}, "'stores' must be a list"),
        ({"method": {"name": "web-download", "uri": 1}}, "must be a string"),
    ],
)
def test_a_malformed_request_is_refused(
    api: Any, staged: Image, body: Any, message: str
) -> None:
    response = ask(api.member, staged, body)

    assert response.status_code == 400
    assert message in response.content.decode()
    assert status(staged) == Status.UPLOADING
    assert list(consistency.check()) == []


@pytest.mark.parametrize(
    "method",
    [
        {"name": "web-download"},
        {"name": "web-download", "uri": None},
        {"name": "web-download", "uri": ""},
        {"name": "web-download", "uri": "file:///etc/passwd"},
        {"name": "web-download", "uri": "http://127.0.0.1:22/"},
        {"name": "web-download", "uri": "http://[::1]/"},
        {"name": "web-download", "uri": "http://user:x@example.org/"},
        {"name": "web-download", "uri": "\x00"},
    ],
)
def test_a_url_that_cannot_be_used_is_refused(
    api: Any, queued: Image, method: Any
) -> None:
    assert ask(api.member, queued, {"method": method}).status_code == 400
    assert status(queued) == Status.QUEUED
    assert list(consistency.check()) == []


@pytest.mark.parametrize("taken", [it for it in Status if it != Status.UPLOADING])
def test_staged_data_is_imported_into_no_other_image(
    api: Any, make_image: Any, taken: str
) -> None:
    image = make_image(taken)

    response = ask(api.admin, image, DIRECT)

    assert response.status_code == (404 if "delete" in taken else 409)
    assert status(image) == taken


@pytest.mark.parametrize("taken", ["active", "uploading", "importing", "deactivated"])
def test_a_url_is_imported_into_queued_images_only(
    api: Any, make_image: Any, taken: str
) -> None:
    image = make_image(taken)
    method = {"name": "web-download", "uri": "http://example.org/"}

    assert ask(api.member, image, {"method": method}).status_code == 409
    assert status(image) == taken


def test_the_status_is_checked_before_the_formats(
    api: Any, db: None, member: Caller
) -> None:
    image = lifecycle.create({"owner": member.project}, {}, [], member)
    assert b"needs to be staged" in ask(api.member, image, DIRECT).content

    uploads.stage(image.pk, [DATA], member)
    response = ask(api.member, image, DIRECT)
    assert response.status_code == 409
    assert b"'container_format' needs to be set before import" in response.content


def test_only_members_of_the_project_can_import(
    api: Any, make_image: Any, staged: Image
) -> None:
    public = make_image("uploading", visibility="public")

    assert ask(api.reader, staged, DIRECT).status_code == 403
    assert ask(api.stranger, staged, DIRECT).status_code == 404
    assert ask(api.stranger, public, DIRECT).status_code == 403
    assert status(staged) == Status.UPLOADING


@pytest.mark.parametrize("taken", [["nowhere"], ["http"]])
def test_data_is_imported_into_stores_that_can_be_written(
    api: Any, staged: Image, taken: list[str]
) -> None:
    code = 410 if taken == ["http"] else 409

    assert ask(api.member, staged, DIRECT | {"stores": taken}).status_code == code
    assert status(staged) == Status.UPLOADING


@pytest.mark.parametrize(
    ("more", "header"),
    [
        ({"stores": ["local"]}, "local"),
        ({"stores": ["local"]}, "other"),
        ({"stores": ["local"], "all_stores": True}, ""),
        ({"all_stores": True}, "local"),
    ],
)
def test_stores_are_named_in_one_way(
    api: Any, staged: Image, more: dict[str, Any], header: str
) -> None:
    response = ask(api.member, staged, DIRECT | more, X_Image_Meta_Store=header)

    assert response.status_code == 400
    assert "only one of them" in response.content.decode()
    assert status(staged) == Status.UPLOADING


def test_a_header_names_the_store(api: Any, staged: Image, far: None) -> None:
    assert ask(api.member, staged, DIRECT, X_Image_Meta_Store="far").status_code == 202

    work()

    assert show(api.member, staged)["stores"] == "far"


def test_an_image_tells_all_stores_of_an_import(
    api: Any, staged: Image, far: None
) -> None:
    assert ask(api.member, staged, DIRECT | {"all_stores": True}).status_code == 202

    shown = show(api.member, staged)
    assert shown["os_glance_importing_to_stores"] == "local,far"
    assert api.member.get("/v2/images").json()["images"] == [shown]
    work()
    shown = show(api.member, staged)
    assert (shown["status"], shown["stores"]) == ("active", "local,far")
    assert shown["os_glance_importing_to_stores"] == ""
    assert shown["os_glance_failed_import"] == ""


@pytest.mark.parametrize(
    ("all_must_succeed", "expected"), [(True, "uploading"), (False, "active")]
)
def test_an_image_tells_which_of_several_stores_failed(
    api: Any,
    staged: Image,
    far: None,
    tmp_path: Path,
    all_must_succeed: bool,
    expected: str,
) -> None:
    (tmp_path / "far").touch()  # no folder
    body = {"stores": ["far", "local"], "all_stores_must_succeed": all_must_succeed}
    assert ask(api.member, staged, DIRECT | body).status_code == 202

    work()

    shown = show(api.member, staged)
    assert (shown["status"], shown["os_glance_failed_import"]) == (expected, "far")
    assert shown.get("stores") == (None if all_must_succeed else "local")
    (task,) = tasks(api.member, staged)
    assert task["status"] == ("failure" if all_must_succeed else "success")


def test_a_second_import_waits_for_the_first(api: Any, staged: Image) -> None:
    ask(api.member, staged, DIRECT)

    assert ask(api.member, staged, DIRECT).status_code == 409
    assert len(tasks(api.member, staged)) == 1


@pytest.mark.parametrize(
    ("method", "limit"),
    [
        ("web-download", "image_size_total"),
        ("web-download", "image_stage_total"),
        ("web-download", "image_count_uploading"),
        ("copy-image", "image_size_total"),
        ("copy-image", "image_stage_total"),
        ("copy-image", "image_count_uploading"),
    ],
)
def test_an_import_over_a_limit_of_its_project_is_413(
    method: str,
    limit: str,
    api: Any,
    queued: Image,
    member: Caller,
    web: str,
    far: None,
) -> None:
    if method == "copy-image":
        lifecycle.upload(queued.pk, [DATA], member)
    before = status(queued)
    limits.set_own(member.project, {limit: 0})

    body = {"method": {"name": method, "uri": web}, "stores": ["far"]}
    response = ask(api.admin, queued, body)

    assert (response.status_code, response.headers["X-Quota-Name"]) == (413, limit)
    assert status(queued) == before


def test_the_methods_are_told(api: Any, settings: Any) -> None:
    told = api.reader.get("/v2/info/import").json()
    assert told == {
        "import-methods": {
            "description": "Import methods available.",
            "type": "array",
            "value": ["glance-direct", "web-download", "copy-image"],
        }
    }

    settings.IMAGECATALOG_IMPORT_METHODS = ("web-download",)
    assert api.reader.get("/v2/info/import").json()["import-methods"]["value"] == [
        "web-download"
    ]


def test_a_new_image_tells_the_methods(api: Any, create: Any) -> None:
    response = create(api.member, name="debian")

    methods = response.headers["OpenStack-image-import-methods"]
    assert methods == "glance-direct,web-download,copy-image"


def test_nothing_is_staged_that_could_not_be_imported(
    api: Any, queued: Image, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_METHODS = ("web-download",)

    response = api.member.put(
        f"/v2/images/{queued.pk}/stage", DATA, CONTENT_TYPE="application/octet-stream"
    )

    assert response.status_code == 404
    assert b"'glance-direct' method is not available" in response.content
    assert status(queued) == Status.QUEUED


# What the data is expected to be

SHA256 = hashlib.sha256(DATA).hexdigest()
SHA512 = hashlib.sha512(DATA).hexdigest()
WRONG = "0" * 64


def expecting(method: dict[str, str], **expected: Any) -> dict[str, Any]:
    return {"method": method, "expected": expected}


@pytest.mark.parametrize(
    "expected",
    [
        {"sha256": SHA256},
        {"sha256": SHA256.upper(), "sha512": SHA512, "size": len(DATA)},
        {"size": len(DATA)},
        {},
    ],
)
def test_data_that_is_as_expected_is_imported(
    expected: dict[str, Any], api: Any, queued: Image, web: str
) -> None:
    method = {"name": "web-download", "uri": web}

    assert ask(api.member, queued, expecting(method, **expected)).status_code == 202
    work()

    assert status(queued) == "active"
    assert tasks(api.member, queued)[0]["input"]["import_req"]["expected"] == expected


@pytest.mark.parametrize(
    ("expected", "why"),
    [
        (
            {"sha256": WRONG},
            f"Digest mismatch: sha-256 is {SHA256}, expected {WRONG}",
        ),
        ({"sha256": SHA256, "sha512": WRONG * 2}, "Digest mismatch: sha-512 is"),
        ({"size": 999}, "999 bytes"),
        ({"size": 1001}, "expected 1001 bytes, got 1000 bytes"),
    ],
)
@pytest.mark.parametrize("name", ["web-download", "glance-direct"])
def test_data_that_is_not_as_expected_is_not_stored(
    name: str,
    expected: dict[str, Any],
    why: str,
    api: Any,
    queued: Image,
    member: Caller,
    web: str,
) -> None:
    method = {"name": name, "uri": web}
    if name == "glance-direct":
        uploads.stage(queued.pk, [DATA], member)

    assert ask(api.member, queued, expecting(method, **expected)).status_code == 202
    work()

    assert status(queued) == "queued"
    assert why in tasks(api.member, queued)[0]["message"]
    assert list(consistency.check()) == []


@pytest.mark.parametrize("name", ["expected", "expected_after"])
@pytest.mark.parametrize(
    "expected",
    [
        {"sha256": "x" * 64},
        {"sha256": SHA512},
        {"sha256": 1},
        {"size": "1000"},
        {"size": True},
        {"size": -1},
        {"size": 2**63},
        {"md5": "0" * 32},
        {"sha256": SHA256, "name": "disk"},
    ],
)
def test_malformed_expectations_are_refused(
    expected: dict[str, Any], name: str, api: Any, staged: Image
) -> None:
    response = ask(api.member, staged, DIRECT | {name: expected})

    assert response.status_code == 400
    assert f"'{name}'" in response.content.decode()
    assert status(staged) == "uploading"


@pytest.mark.parametrize("expected", [[], "sha256", 1, False])
def test_expectations_are_an_object(expected: Any, api: Any, staged: Image) -> None:
    assert ask(api.member, staged, DIRECT | {"expected": expected}).status_code == 400


@pytest.mark.parametrize("name", ["copy-image", "glance-download"])
def test_data_that_is_known_already_is_not_expected(
    name: str, api: Any, staged: Image
) -> None:
    response = ask(api.member, staged, expecting({"name": name}, sha256=SHA256))

    assert response.status_code == 400
    assert "web-download, glance-direct" in response.content.decode()


def test_one_digest_is_expected_when_staged_and_imported(
    api: Any, queued: Image, member: Caller
) -> None:
    uploads.stage(queued.pk, [DATA], member, expected_digests={"sha256": SHA256})

    response = ask(api.member, queued, expecting(DIRECT["method"], sha256=WRONG))

    assert response.status_code == 400
    assert status(queued) == "uploading"


# Expectations of the data that plugins have changed

PACKED = gzip.compress(DATA)


@pytest.fixture
def packed(queued: Image, member: Caller, settings: Any) -> Image:
    """An image with DATA staged compressed, which a plugin decompresses."""
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)
    uploads.stage(queued.pk, [PACKED], member)
    return queued


def test_data_is_compared_before_and_after_plugins_change_it(
    api: Any, packed: Image
) -> None:
    before = {"sha256": hashlib.sha256(PACKED).hexdigest(), "size": len(PACKED)}
    after = {"sha256": SHA256.upper(), "sha512": SHA512, "size": len(DATA)}

    ask(api.member, packed, DIRECT | {"expected": before, "expected_after": after})
    work()

    assert status(packed) == "active"


@pytest.mark.parametrize(
    ("after", "why"),
    [
        ({"sha256": hashlib.sha256(PACKED).hexdigest()}, f"sha-256 is {SHA256}"),
        ({"sha256": SHA256, "sha512": WRONG * 2}, f"sha-512 is {SHA512}"),
        ({"size": len(DATA) - 1}, "Size exceeds"),
        ({"size": len(DATA) + 1}, "Size mismatch"),
    ],
)
def test_changed_data_that_is_not_as_expected_is_not_stored(
    after: dict[str, Any], why: str, api: Any, packed: Image
) -> None:
    ask(api.member, packed, DIRECT | {"expected_after": after})
    work()

    assert status(packed) == "queued"
    assert why in tasks(api.member, packed)[0]["message"]
    assert list(consistency.check()) == []


@pytest.mark.parametrize(
    ("before", "after", "outcome"),
    [
        (SHA256, SHA256, "active"),
        (WRONG, SHA256, "queued"),
        (SHA256, WRONG, "queued"),
    ],
)
def test_data_that_no_plugin_changes_must_be_as_expected_before_and_after(
    before: str, after: str, outcome: str, api: Any, staged: Image
) -> None:
    expected = {"expected": {"sha256": before}, "expected_after": {"sha256": after}}

    ask(api.member, staged, DIRECT | expected)
    work()

    assert status(staged) == outcome


def test_what_is_expected_after_survives_an_interruption(
    api: Any, packed: Image
) -> None:
    ask(api.member, packed, DIRECT | {"expected_after": {"sha256": WRONG}})
    (first,) = waiting_copies()
    with pytest.raises(errors.ServerStopping):
        queue.carry_out(first, lambda: True)
    work()

    assert "sha-256 is" in tasks(api.member, packed)[0]["message"]
