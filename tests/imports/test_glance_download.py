"""Imports of images from another region: with the caller's token, or the operator's credentials."""

from __future__ import annotations

import gzip
import hashlib
import json
import logging
import os
from base64 import b64encode
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import Client
from django.utils import timezone

from images import errors, lifecycle
from images.access import Caller
from images.imports import queue
from images.models import Event, Image, Status, Transfer, TransferStatus
from images.operations import consistency
from images.transfers import reaper
from tests.copies import waiting_copies, work
from tests.rows import current, status
from tests.web import Quiet, allow_in_process, described, region, serving

DATA = os.urandom(100_000)
SHA512 = hashlib.sha512(DATA).hexdigest()
SOURCE = "0bfe5a27-3a1c-4f0e-9d7e-0a9c1a4b2c11"
TOKEN = "the-token-of-the-caller"
PASSWORD = "the-password-of-the-operator"
BASIC = "Basic " + b64encode(f"reader:{PASSWORD}".encode()).decode()
RAW = {"disk_format": "raw", "container_format": "bare"}
METHOD = {
    "name": "glance-download",
    "glance_region": "east",
    "glance_image_id": SOURCE,
}

pytestmark = pytest.mark.django_db


class Other(Quiet):
    """The part of another image service, and of Keystone, that an import needs."""

    document: dict[str, Any]
    data: bytes
    seen: list[tuple[str, str]]  # path, credentials
    redirect = ""  # to this URL
    status = 200
    catalogue: Any
    issues_tokens = True

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        self._answer(b"{}", 201 if self.issues_tokens else 401)

    def do_GET(self) -> None:
        signed = self.headers["X-Auth-Token"] or self.headers["Authorization"] or ""
        self.seen.append((self.path, signed))
        if self.path == "/v3/auth/catalog":
            self._answer(json.dumps(self.catalogue).encode())
        elif self.redirect and self.path.endswith(self.redirect):
            self.send_response(302)
            self.send_header("Location", "/v2/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif self.path.endswith("/file"):
            self._answer(self.data)
        else:
            self._answer(json.dumps(self.document).encode(), self.status)

    def _answer(self, body: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("X-Subject-Token", "a token of Keystone")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture
def other(monkeypatch: pytest.MonkeyPatch) -> type[Other]:
    """The other service, whose attributes a test can change."""
    document = described(DATA) | {
        "checksum": hashlib.md5(DATA).hexdigest(),
        "hw_disk_bus": "scsi",
        "trait:X": "required",
        "os_type": "linux",
        "os_glance_failed_import": "x",
        "architecture": "x86_64",
        "owner": "other",
    }
    for name, value in {"document": document, "data": DATA, "seen": []}.items():
        monkeypatch.setattr(Other, name, value, raising=False)
    for name, value in {"redirect": "", "status": 200, "issues_tokens": True}.items():
        monkeypatch.setattr(Other, name, value)
    return Other


@pytest.fixture
def url(other: type[Other]) -> Iterator[str]:
    with serving(other) as url:
        yield url


@pytest.fixture
def remote(url: str, settings: Any, tmp_path: Path) -> Path:
    """The region ``east``, and the file with the credentials for it."""
    file = tmp_path / "east.json"
    east = region("east", f"{url}/v2", file, "reader", PASSWORD)
    settings.IMAGECATALOG_REMOTES = east
    return file


@pytest.fixture
def application_credential(remote: Path, url: str) -> None:
    """The credentials for the region are an application credential of Keystone."""
    credential = {
        "auth_url": f"{url}/v3",
        "application_credential_id": "id",
        "application_credential_secret": "secret",
    }
    remote.write_text(json.dumps(credential))


@pytest.fixture
def keystone(
    url: str, other: type[Other], settings: Any, monkeypatch: pytest.MonkeyPatch
) -> Client:
    """A member's client of a service with Keystone, whose catalogue has the region ``east``."""
    settings.IMAGECATALOG_AUTH = "keystone"
    settings.IMAGECATALOG_KEYSTONE_URL = f"{url}/v3"
    allow_in_process(settings, url)
    endpoints = [
        {"interface": "internal", "region_id": "east", "url": f"{url}/inside/v2/"},
        {"interface": "public", "region": "east", "url": url},
    ]
    services = [{"type": "image", "endpoints": endpoints}]
    monkeypatch.setattr(other, "catalogue", {"catalog": services}, raising=False)
    signed_in = {"identity_status": "Confirmed", "user_id": "u1", "roles": "member"}
    signed_in |= {"project_id": "project-a", "auth_token": TOKEN}
    return Client(**{f"HTTP_X_{key.upper()}": it for key, it in signed_in.items()})


@pytest.fixture
def image(member: Caller) -> Image:
    properties = {"hw_disk_bus": "ide", "mine": "kept"}
    formats = {"disk_format": "iso", "container_format": "bare"}
    return lifecycle.create(formats | {"owner": member.project}, properties, [], member)


@pytest.fixture
def client(client_of: Callable[[Caller], Client], member: Caller) -> Client:
    return client_of(member)


def ask(client: Client, image: Image, **method: Any) -> Any:
    return client.post(
        f"/v2/images/{image.pk}/import",
        json.dumps({"method": METHOD | method}),
        content_type="application/json",
    )


def the_task(image: Image) -> Transfer:
    return Transfer.objects.exclude(task_id=None).get(image=image)


def assert_unchanged(image: Image, message: str) -> None:
    """Nothing of a failed import is left, and it can be tried again."""
    now = current(image)
    assert (now.status, now.size) == (Status.QUEUED, None)
    assert (now.disk_format, now.properties) == (image.disk_format, image.properties)
    task = the_task(image)
    assert message in task.error
    assert (task.status, task.secret) == (TransferStatus.FAILED, "")
    assert list(consistency.check(read_bytes=True)) == []


def everything_stored() -> str:
    """All that the database has of images, their transfers and their history."""
    models = (Image, Transfer, Event)
    return json.dumps([list(one.objects.values()) for one in models], default=str)


# The region of the operator's settings


def test_the_data_comes_with_its_formats_and_properties(
    client: Client, image: Image, remote: Path
) -> None:
    assert ask(client, image).status_code == 202
    assert status(image) == Status.IMPORTING
    work()

    now = current(image)
    assert (now.status, now.size, now.os_hash_value) == (
        Status.ACTIVE,
        len(DATA),
        SHA512,
    )
    assert (now.disk_format, now.container_format) == ("raw", "bare")
    assert now.properties == {
        "hw_disk_bus": "scsi",
        "trait:X": "required",
        "os_type": "linux",
        "mine": "kept",
    }
    assert b"".join(lifecycle.read(image.pk)) == DATA
    assert list(consistency.check(read_bytes=True)) == []


def test_the_image_keeps_its_formats_until_the_data_is_there(
    client: Client, image: Image, remote: Path
) -> None:
    ask(client, image)

    assert current(image).disk_format == "iso"


def test_credentials_of_the_operator_are_sent_and_never_stored(
    client: Client,
    image: Image,
    remote: Path,
    other: type[Other],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    ask(client, image)
    stored = everything_stored()
    work()

    path = f"/v2/images/{SOURCE}"
    assert other.seen == [(path, BASIC), (f"{path}/file", BASIC)]
    for text in (stored, everything_stored(), caplog.text):
        assert PASSWORD not in text
        assert BASIC not in text


def test_an_application_credential_of_keystone_is_used(
    client: Client, image: Image, application_credential: None, other: type[Other]
) -> None:
    ask(client, image)
    work()

    assert status(image) == Status.ACTIVE
    assert {signed for _, signed in other.seen} == {"a token of Keystone"}


def test_a_refused_application_credential_fails_the_import(
    client: Client, image: Image, application_credential: None, other: type[Other]
) -> None:
    other.issues_tokens = False

    ask(client, image)
    work()

    assert_unchanged(image, "Keystone does not accept the credentials")


def test_compressed_data_is_decompressed(
    client: Client, image: Image, remote: Path, other: type[Other], settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("image_decompression",)
    packed = gzip.compress(DATA)
    other.data = packed
    del other.document["os_hash_algo"], other.document["checksum"]
    other.document["size"] = len(packed)

    ask(client, image)
    work()

    assert b"".join(lifecycle.read(image.pk)) == DATA


def test_credentials_that_are_gone_fail_the_import(
    client: Client, image: Image, remote: Path
) -> None:
    ask(client, image)
    remote.unlink()
    work()

    assert_unchanged(image, "The credentials for the region east cannot be used")


def test_a_region_that_is_configured_no_more_fails_the_import(
    client: Client, image: Image, remote: Path, settings: Any
) -> None:
    ask(client, image)
    settings.IMAGECATALOG_REMOTES = ""
    work()

    assert_unchanged(image, "The region east is not configured any more")


@pytest.mark.parametrize("visibility", ["private", "shared"])
def test_only_an_administrator_imports_with_the_operators_rights(
    visibility: str,
    client: Client,
    client_of: Callable[[Caller], Client],
    admin: Caller,
    image: Image,
    remote: Path,
    other: type[Other],
) -> None:
    other.document["visibility"] = visibility

    ask(client, image)
    work()
    assert_unchanged(image, "has no such image")
    Transfer.objects.all().delete()

    ask(client_of(admin), image)
    work()
    assert status(image) == Status.ACTIVE


@pytest.mark.parametrize(
    ("described", "message"),
    [
        ({"status": "queued"}, "is not active"),
        ({"status": "deactivated"}, "is not active"),
        ({"size": None}, "in an unknown way"),
        ({"size": True}, "in an unknown way"),
        ({"size": -1}, "in an unknown way"),
        ({"size": len(DATA) + 1}, "Size mismatch"),
        ({"size": len(DATA) - 1}, "Size exceeds"),
        ({"size": 1 << 60}, "maximum size"),
        ({"os_hash_value": "0" * 128}, "Digest mismatch"),
        ({"os_hash_algo": "sha3"}, "in an unknown way"),
        ({"checksum": "0" * 32}, "Digest mismatch"),
        ({"disk_format": None}, "in an unknown way"),
        ({"disk_format": "tape"}, "disk_format"),
        ({"disk_format": "qcow2"}, "qcow2"),
        ({"hw_x": 1}, "in an unknown way"),
        ({"hw_x": "\0"}, "hw_x"),
    ],
)
def test_what_does_not_hold_leaves_the_image_as_it_was(
    described: dict[str, Any],
    message: str,
    client: Client,
    image: Image,
    remote: Path,
    other: type[Other],
) -> None:
    other.document.update(described)

    ask(client, image)
    work()

    assert_unchanged(image, message)


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (401, "refuses the credentials"),
        (403, "refuses the credentials"),
        (404, "has no such image"),
        (410, "has no such image"),
        (500, "responded with 500"),
    ],
)
def test_a_refusal_of_the_other_service_is_told(
    code: int,
    message: str,
    client: Client,
    image: Image,
    remote: Path,
    other: type[Other],
) -> None:
    other.status = code

    ask(client, image)
    work()

    assert_unchanged(image, message)


@pytest.mark.parametrize("document", [b"", b"[]", b"{", b'"active"'])
def test_nonsense_of_the_other_service_fails_the_import(
    document: bytes,
    client: Client,
    image: Image,
    remote: Path,
    other: type[Other],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(other, "do_GET", lambda self: self._answer(document))

    ask(client, image)
    work()

    assert_unchanged(image, "in an unknown way")


def test_an_image_without_digests_has_only_its_size_compared(
    client: Client, image: Image, remote: Path, other: type[Other]
) -> None:
    for name in ("os_hash_algo", "os_hash_value", "checksum"):
        other.document[name] = None

    ask(client, image)
    work()

    assert status(image) == Status.ACTIVE


def test_an_empty_image_is_imported_without_its_data(
    client: Client, image: Image, remote: Path, other: type[Other]
) -> None:
    empty = {"os_hash_value": hashlib.sha512().hexdigest(), "checksum": None}
    other.document.update(empty | {"size": 0})

    ask(client, image)
    work()

    assert (status(image), current(image).size) == (Status.ACTIVE, 0)
    assert len(other.seen) == 1


def test_properties_over_the_limit_fail_the_import(
    client: Client, image: Image, remote: Path, settings: Any
) -> None:
    settings.IMAGECATALOG_IMAGE_PROPERTY_QUOTA = 3

    ask(client, image)
    work()

    assert_unchanged(image, "properties")


def test_a_failed_import_can_be_repeated(
    client: Client, image: Image, remote: Path, other: type[Other]
) -> None:
    other.status = 500
    ask(client, image)
    work()
    other.status = 200

    assert ask(client, image).status_code == 202
    work()

    assert status(image) == Status.ACTIVE


def test_what_the_operator_injects_stays(
    client: Client, image: Image, remote: Path, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_PLUGINS = ("inject_image_metadata",)
    settings.IMAGECATALOG_INJECTED_PROPERTIES = ("hw_disk_bus:virtio",)

    ask(client, image)
    work()

    assert current(image).properties["hw_disk_bus"] == "virtio"
    assert current(image).properties["os_type"] == "linux"


# The region of Keystone's catalogue


def test_the_token_of_the_caller_is_used_encrypted_and_erased(
    keystone: Client,
    image: Image,
    other: type[Other],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    other.document["visibility"] = "private"

    assert ask(keystone, image).status_code == 202
    assert the_task(image).secret
    assert TOKEN not in everything_stored()
    work()

    assert status(image) == Status.ACTIVE
    assert {signed for _, signed in other.seen} == {TOKEN}
    assert the_task(image).secret == ""
    tasks = keystone.get(f"/v2/images/{image.pk}/tasks")
    for text in (everything_stored(), caplog.text, tasks.content.decode()):
        assert TOKEN not in text


def test_the_interface_of_the_request_is_used(
    keystone: Client, image: Image, other: type[Other]
) -> None:
    ask(keystone, image, glance_service_interface="internal")
    work()

    paths = [path for path, _ in other.seen]
    assert paths[1:] == [
        f"/inside/v2/images/{SOURCE}",
        f"/inside/v2/images/{SOURCE}/file",
    ]


@pytest.mark.parametrize("redirected", [SOURCE, "/file"])
def test_the_token_does_not_follow_a_redirect(
    redirected: str, keystone: Client, image: Image, other: type[Other]
) -> None:
    other.redirect = redirected

    ask(keystone, image)
    work()

    assert "/v2/elsewhere" not in [path for path, _ in other.seen]
    assert_unchanged(image, "redirects the request")


def test_an_endpoint_that_the_url_filter_refuses_never_sees_the_token(
    keystone: Client, image: Image, other: type[Other], settings: Any
) -> None:
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ()

    assert ask(keystone, image).status_code == 400
    assert [path for path, _ in other.seen] == ["/v3/auth/catalog"]
    assert status(image) == Status.QUEUED


def test_an_endpoint_is_checked_again_by_the_worker(
    keystone: Client, image: Image, settings: Any
) -> None:
    ask(keystone, image)
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ()
    work()

    assert_unchanged(image, "does not pass filtering")


def test_a_configured_region_without_credentials_gets_the_callers_token(
    keystone: Client, image: Image, other: type[Other], url: str, settings: Any
) -> None:
    settings.IMAGECATALOG_URL_ALLOWED_HOSTS = ()
    settings.IMAGECATALOG_REMOTES = f"west={url}"

    assert ask(keystone, image, glance_region="west").status_code == 202
    work()

    assert status(image) == Status.ACTIVE
    assert {signed for _, signed in other.seen} == {TOKEN}


def test_credentials_that_are_configured_later_do_not_serve_an_earlier_request(
    keystone: Client,
    image: Image,
    other: type[Other],
    url: str,
    settings: Any,
    tmp_path: Path,
) -> None:
    ask(keystone, image)
    east = region("east", url, tmp_path / "east.json", "reader", PASSWORD)
    settings.IMAGECATALOG_REMOTES = east
    other.seen.clear()

    work()

    assert {signed for _, signed in other.seen} == {TOKEN}


@pytest.mark.parametrize("catalogue", [[], {}, {"catalog": [{}]}, {"catalog": 1}])
def test_a_catalogue_that_cannot_be_read_is_told(
    catalogue: Any, keystone: Client, image: Image, other: type[Other]
) -> None:
    other.catalogue = catalogue

    assert ask(keystone, image).status_code == 503
    assert status(image) == Status.QUEUED


def fails(waiting: Transfer) -> None:
    Other.status = 500
    work()


def is_deleted(waiting: Transfer) -> None:
    lifecycle.delete(waiting.image_id, Caller("a", "p", frozenset({"admin"})))


def is_killed(waiting: Transfer) -> None:
    long_ago = timezone.now() - timedelta(days=1)
    Transfer.objects.update(status=TransferStatus.RUNNING, heartbeat_at=long_ago)
    reaper.reap()


@pytest.mark.parametrize("end", [fails, is_deleted, is_killed])
def test_the_token_is_erased_however_the_import_ends(
    end: Callable[[Transfer], None], keystone: Client, image: Image
) -> None:
    ask(keystone, image)

    end(the_task(image))

    task = the_task(image)
    assert (task.status, task.secret) == (TransferStatus.FAILED, "")
    assert list(consistency.check()) == []


def test_an_import_that_a_shutdown_interrupts_keeps_the_token_until_it_is_repeated(
    keystone: Client, image: Image
) -> None:
    ask(keystone, image)
    stops = iter([True])

    with pytest.raises(errors.ServerStopping):
        queue.carry_out(waiting_copies()[0], lambda: next(stops, False))

    ended = Transfer.objects.get(status=TransferStatus.FAILED)
    assert ended.secret == ""
    assert status(image) == Status.IMPORTING
    work()
    assert status(image) == Status.ACTIVE
    assert not Transfer.objects.exclude(secret="").exists()


# What is refused at once


@pytest.mark.parametrize(
    ("method", "message"),
    [
        ({"glance_region": None}, "needs a 'glance_region'"),
        ({"glance_image_id": ""}, "needs a 'glance_region' and a 'glance_image_id'"),
        ({"glance_image_id": "disk"}, "does not look like a UUID"),
        ({"glance_image_id": f"{SOURCE}/file"}, "does not look like a UUID"),
        ({"glance_region": 1}, "must be strings"),
        ({"glance_service_interface": ["public"]}, "must be strings"),
        ({"glance_service_interface": "private"}, "must be one of: public"),
        ({"glance_region": "north"}, "There is no region 'north'"),
        ({"glance_region": "\0" + "x" * 5000}, "There is no region"),
    ],
)
def test_a_malformed_request_is_refused(
    method: dict[str, Any], message: str, client: Client, image: Image, remote: Path
) -> None:
    response = ask(client, image, **method)

    assert response.status_code == 400
    assert message in response.content.decode()
    assert status(image) == Status.QUEUED
    assert not Transfer.objects.exists()


@pytest.mark.parametrize(
    "method", [{"glance_region": "north"}, {"glance_service_interface": "admin"}]
)
def test_a_region_that_is_not_in_the_catalogue_is_refused(
    method: dict[str, str], keystone: Client, image: Image
) -> None:
    response = ask(keystone, image, **method)

    assert response.status_code == 400
    assert "The service catalogue has no" in response.content.decode()


def test_keystone_that_does_not_answer_is_told(
    keystone: Client, image: Image, settings: Any
) -> None:
    settings.IMAGECATALOG_KEYSTONE_URL = "http://127.0.0.1:9/v3"

    assert ask(keystone, image).status_code == 503
    assert status(image) == Status.QUEUED


def test_an_image_without_formats_is_refused(
    client: Client, image: Image, remote: Path
) -> None:
    Image.objects.update(disk_format=None)

    assert ask(client, image).status_code == 409


@pytest.mark.parametrize("state", [Status.ACTIVE, Status.SAVING, Status.DEACTIVATED])
def test_only_a_queued_image_is_imported_into(
    state: str, client: Client, remote: Path, make_image: Any
) -> None:
    assert ask(client, make_image(state)).status_code == 409


def test_the_images_of_others_are_not_imported_into(
    client_of: Callable[[Caller], Client], stranger: Caller, image: Image, remote: Path
) -> None:
    assert ask(client_of(stranger), image).status_code == 404


def test_a_second_import_is_refused_while_one_waits(
    client: Client, image: Image, remote: Path
) -> None:
    ask(client, image)

    assert ask(client, image).status_code == 409


def methods(client: Client) -> list[str]:
    document = client.get("/v2/info/import").json()
    return document["import-methods"]["value"]  # type: ignore[no-any-return]


def test_the_method_is_there_only_where_there_is_another_region(
    client: Client, image: Image, remote: Path, settings: Any
) -> None:
    assert "glance-download" in methods(client)

    settings.IMAGECATALOG_REMOTES = ""

    assert "glance-download" not in methods(client)
    assert ask(client, image).status_code == 400


def test_the_method_can_be_switched_off(
    client: Client, image: Image, remote: Path, settings: Any
) -> None:
    settings.IMAGECATALOG_IMPORT_METHODS = ("web-download",)

    assert methods(client) == ["web-download"]
    assert ask(client, image).status_code == 400


# The settings


@pytest.mark.parametrize(
    ("remotes", "message"),
    [
        ("east", "it must be like 'east=https:"),
        ("east=ftp://host", r"region 'east'.*must begin with https"),
        ("east=https://", "must begin with https"),
        ("east=https://me:hidden@host", "has a user name"),
        ("east=https://[", "this is not a URL"),
        ("east=https://host?token=hidden", "the only option"),
        ("east=https://host?credentials=east.json", "must be absolute"),
        ("east=https://host?credentials=/nowhere/east.json", "cannot be read"),
        ("east=https://host", r"needs '\?credentials=FILE'"),
        ("east=https://a,east=https://b", "named twice"),
    ],
)
def test_a_wrong_setting_is_an_error(remotes: str, message: str, settings: Any) -> None:
    settings.IMAGECATALOG_REMOTES = remotes

    with pytest.raises(SystemCheckError, match=message) as caught:
        call_command("check")

    assert "hidden" not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        "hidden",
        "[]",
        '{"username": "hidden"}',
        '{"username": "x", "password": 1}',
        '{"token": "hidden"}',
    ],
)
def test_wrong_credentials_are_an_error_that_does_not_show_them(
    content: str, remote: Path
) -> None:
    remote.write_text(content)

    with pytest.raises(SystemCheckError, match="region 'east'") as caught:
        call_command("check")

    assert "hidden" not in str(caught.value)


def test_right_settings_are_no_error(remote: Path) -> None:
    call_command("check")
