"""Requests that meet an import, by every method and in each of its steps: nothing is stuck or left."""

from __future__ import annotations

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from django.db import connection
from django.utils import timezone

from images import errors, failpoints, imports, lifecycle, uploads
from images.access import Caller, implied
from images.attributes import Changes
from images.imports import ImportRequest, RemoteReference, queue
from images.models import OPEN_STATUSES, Image, Transfer, UploadChunk
from images.operations import consistency, purge
from images.transfers import reaper
from tests.web import Quiet, allow_in_process, described, region, serving

pytestmark = pytest.mark.slow

FURTHER = "further"
DATA = b"the data of the image" * 1000
REGION, REMOTE_ID = "east", "0bfe5a27-3a1c-4f0e-9d7e-0a9c1a4b2c11"
OWNER = Caller("tester", "project-of-tester", implied("admin"), interface="test")
FORMATS = {"disk_format": "raw", "container_format": "bare", "owner": OWNER.project}
REFUSED = (
    errors.Conflict,
    errors.DataMissing,
    errors.Forbidden,
    errors.Gone,
    errors.Invalid,
    errors.NotFound,
)


def stage(image_id: str) -> None:
    uploads.stage(image_id, [DATA], OWNER)


def upload(image_id: str) -> None:
    lifecycle.upload(image_id, [DATA], OWNER)


class WebAndRegion(Quiet):
    """A web server with the data, and the image service of another region, where an image has it."""

    def do_GET(self) -> None:
        content = json.dumps(described(DATA)).encode()
        if not self.path.endswith(REMOTE_ID):
            content = DATA
        self.send_response(200)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    do_HEAD = do_GET


class Case(NamedTuple):
    """An import: its method, what the image needs first, and the failpoints that it passes."""

    method: str
    prepare: Callable[[str], object]
    store: str
    points: tuple[str, ...]

    def ready(self) -> str:
        image_id = lifecycle.create(FORMATS, {}, [], OWNER).pk
        self.prepare(image_id)
        return image_id

    def request(self, image_id: str, url: str) -> None:
        wanted = ImportRequest(
            self.method,
            uri=f"{url}/data",
            remote=RemoteReference(REGION, REMOTE_ID),
            store_ids=(self.store,),
            document={"method": {"glance_region": REGION}},
        )
        imports.request_import(image_id, wanted, OWNER)


OF_ALL = ("import.requested", "data.streaming", "data.active")
DIRECT = ("import.begun", "import.stored")
WEB = ("web_download.claimed", "data.received", "web_download.stored")
REGIONAL = ("claimed", "described", "streaming", "received")
COPY = ("image_copy.claimed", "data.received", "image_copy.stored")
CASES = [
    Case("glance-direct", stage, "local", DIRECT),
    Case("glance-direct", stage, FURTHER, (*DIRECT, "data.received")),
    Case("web-download", lambda _: None, "local", WEB),
    Case(
        "glance-download",
        lambda _: None,
        "local",
        (*[f"glance_download.{step}" for step in REGIONAL], "web_download.stored"),
    ),
    Case("copy-image", upload, FURTHER, COPY),
]


def delete_and_purge(image_id: str) -> None:
    lifecycle.delete(image_id, OWNER)
    purge.purge_deleted(timezone.now())


def rename(image_id: str) -> None:
    lifecycle.update(image_id, Changes(fields={"name": "renamed"}), OWNER)


Rival = Callable[[Case, str, str], object]  # with the image and the URL
RIVALS: dict[str, Rival] = {
    "the same import": Case.request,
    "delete": lambda _, image_id, url: lifecycle.delete(image_id, OWNER),
    "deactivate": lambda _, image_id, url: lifecycle.deactivate(image_id, OWNER),
    "patch": lambda _, image_id, url: rename(image_id),
    "purge": lambda _, image_id, url: delete_and_purge(image_id),
    "upload": lambda _, image_id, url: upload(image_id),
    "stage": lambda _, image_id, url: stage(image_id),
    "remove": lambda _, image_id, url: lifecycle.remove_from_store(
        image_id, "local", OWNER
    ),
}
each_case = pytest.mark.parametrize(
    "case", CASES, ids=[f"{case.method} {case.store}" for case in CASES]
)


@pytest.fixture
def url(tmp_path: Path, settings: Any) -> Iterator[str]:
    settings.IMAGECATALOG_STORES += f",{FURTHER}=file://{tmp_path}/further"
    settings.IMAGECATALOG_DELAYED_DELETE = False
    with serving(WebAndRegion) as url:
        allow_in_process(settings, url)
        east = region(REGION, url, tmp_path / "east.json", "reader", "secret")
        settings.IMAGECATALOG_REMOTES = east
        yield url


@pytest.fixture
def at_point(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> Callable[[str, Callable[[], object]], list[str]]:
    """``at_point(name, rival)``: call the rival where the failpoint is passed for the first time."""

    def arrange(name: str, rival: Callable[[], object]) -> list[str]:
        passed: list[str] = []

        def reached(point: str, note: str) -> None:
            if point != name or passed:
                return
            passed.append(point)
            try:
                rival()
            except REFUSED as error:
                passed.append(type(error).__name__)

        monkeypatch.setenv("IMAGECATALOG_CRASH_FILE", str(tmp_path / "die-at"))
        monkeypatch.setattr(failpoints, "_die_if_asked", reached)
        return passed

    return arrange


def carry_out_all() -> None:
    """Carry out all waiting transfers as the background worker does, but without a log."""
    while waiting := queue.next_waiting([], []):
        with suppress(*REFUSED):
            queue.carry_out(waiting.id)


def assert_nothing_is_stuck_or_left(image_id: str) -> None:
    assert not Transfer.objects.filter(status__in=OPEN_STATUSES).exclude(
        kind="stage"
    ), "an open transfer"
    image = Image.objects.get(pk=image_id)
    staged = Transfer.objects.staging().filter(image=image)
    assert image.status in ("queued", "active", "deactivated", "deleted") or (
        image.status == "uploading" and staged.exists()
    )
    reaper.reap()
    chunks = UploadChunk.objects.filter(transfer__image=image)
    assert staged.exists() or not chunks.exists()
    assert list(consistency.check(read_bytes=True)) == []


@pytest.mark.django_db
@pytest.mark.parametrize("rival", RIVALS)
@each_case
def test_a_request_in_any_step_of_an_import_leaves_nothing_behind(
    case: Case, rival: str, url: str, at_point: Any
) -> None:
    for point in (*OF_ALL, *case.points):
        image_id = case.ready()
        passed = at_point(point, partial(RIVALS[rival], case, image_id, url))

        case.request(image_id, url)
        carry_out_all()

        assert passed[:1] == [point]
        assert_nothing_is_stuck_or_left(image_id)


@pytest.mark.django_db(transaction=True)
@each_case
def test_requests_together_with_an_import_leave_nothing_behind(
    case: Case, url: str
) -> None:
    for rival in RIVALS.values():
        image_id = case.ready()
        outcome = together(
            partial(case.request, image_id, url),
            partial(rival, case, image_id, url),
            carry_out_all,
        )
        carry_out_all()

        assert outcome.count("done") >= 2, outcome
        assert_nothing_is_stuck_or_left(image_id)


def together(*requests: Callable[[], object]) -> list[str]:
    """Make requests at the same time; return ``done`` or the name of the error for each."""
    start = threading.Barrier(len(requests))

    def compete(work: Callable[[], object]) -> str:
        start.wait(60)
        try:
            work()
        except REFUSED as error:
            return type(error).__name__
        finally:
            connection.close()
        return "done"

    with ThreadPoolExecutor(len(requests)) as pool:
        return list(pool.map(compete, requests))
