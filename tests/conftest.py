"""What all tests share: databases, servers, callers, images in any status.

A test never sees the data of the developer's own catalogue: database, stores and data folder
are temporary.
"""

from __future__ import annotations

import gc
import hashlib
import itertools
import os
import re
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from uuid import uuid4

import hypothesis
import pytest
from django.conf import settings
from django.contrib.auth import get_user_model
from django.db import connection
from django.test import Client
from django.utils import timezone
from prometheus_client import values
from pytest_django import DjangoDbBlocker
from whitenoise.middleware import WhiteNoiseMiddleware

from imagecatalog import garbage
from imagecatalog.identity import attempt_counts, throttle
from imagecatalog.identity.models import Project, RoleAssignment
from images import min_rate, outages, process_metrics, request_rate, stores
from images.access import Caller, implied, rules
from images.models import (
    Image,
    ImageLocation,
    LocationStatus,
    Status,
    Transfer,
    TransferKind,
)
from images.publishing import signing
from images.stores.local import MARKER
from images.transfers import concurrency, limits, object_removal, unified_limits
from tests import described, memory_disk, once, published_family, samples, servers

PROJECT = "project-a"

numbers = itertools.count()  # of the folders of tests
FAILED = pytest.StashKey[bool]()
# What a test asks for says what it needs: no mark to forget.
MARKS = {
    "catalogue": "wire",
    "any_catalogue": "wire",
    "postgres_url": "needs_postgres",
    "s3_server": "s3",
    "db": "database",
    "transactional_db": "database",
}


def pytest_configure(config: pytest.Config) -> None:
    """Prepare pytest before it looks for tests."""
    # pytest 9.1 loses the fixtures of a folder that is named twice, with another one between.
    config.args.sort()
    # That an example takes long on a busy machine is no fault.
    hypothesis.settings.register_profile("patient", deadline=None)
    hypothesis.settings.load_profile("patient")
    # The servers of tests must get SIGHUP, which nohup lets all programs ignore.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(
    config: pytest.Config, items: list[pytest.Item]
) -> None:
    for item in items:
        for fixture in set(MARKS) & set(getattr(item, "fixturenames", ())):
            item.add_marker(MARKS[fixture])
        if item.get_closest_marker("django_db"):
            item.add_marker("database")
        if "wire" in item.path.relative_to(config.rootpath).parts:
            item.add_marker("wire")
        if group := shared_server(item):
            item.add_marker(pytest.mark.xdist_group(group))
    elsewhere = [item for item in items if of_another_pass(item)]
    if elsewhere:
        config.hook.pytest_deselected(items=elsewhere)
        items[:] = [item for item in items if item not in elsewhere]


def of_another_pass(item: pytest.Item) -> bool:
    """Whether the test runs on the other database only."""
    names = ("sqlite", "once") if connection.vendor == "postgresql" else ("postgres",)
    return any(item.get_closest_marker(name) for name in names)


def pytest_make_parametrize_id(val: object, argname: str) -> str | None:
    """Name long data by its length: megabytes of a name go from process to process."""
    if isinstance(val, (bytes, str)) and len(val) > 200:
        return f"{argname}-of-{len(val)}"
    return None


def pytest_collection_finish() -> None:
    """Exclude modules and collected tests, which stay to the end, from garbage collection.

    Collect as seldom as the service does.
    """
    gc.collect()
    gc.freeze()
    garbage.collect_seldom()


# pytest takes only functions whose names begin with its own for hooks.
@pytest.hookimpl(specname="pytest_collection_modifyitems", trylast=True)
def pytest_slow_tests_first(items: list[pytest.Item]) -> None:
    """Begin with the slow tests, so that at the end no process runs alone for long."""
    items.sort(key=lambda item: item.get_closest_marker("slow") is None)


def shared_server(item: pytest.Item) -> str | None:
    """Name the session's service that a test uses, None if it uses none.

    The tests of one service run in one process: its content is theirs alone, and no other
    process has to start it.
    """
    if "small_catalogue" in getattr(item, "fixturenames", ()):
        return "sqlite+folder"
    return getattr(getattr(item, "callspec", None), "params", {}).get("catalogue")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    report = yield
    if report.failed:
        item.stash[FAILED] = True
        for value in getattr(item, "funcargs", {}).values():
            if isinstance(value, servers.Service):
                report.sections.append(("Log of the service", value.log_tail()))
    return nothing_skipped(report)


@pytest.hookimpl(wrapper=True)
def pytest_make_collect_report() -> Any:
    return nothing_skipped((yield))


def nothing_skipped(report: Any) -> Any:
    """Where CI=true a skip is a failure: it would hide a test that nobody runs."""
    expected_failure = hasattr(report, "wasxfail")
    if os.environ.get("CI") == "true" and report.skipped and not expected_failure:
        report.outcome = "failed"
        report.longrepr = f"skipped, and CI=true allows no skips: {report.longrepr}"
    return report


@pytest.fixture(scope="session", autouse=True)
def routes() -> None:
    """Made once, as in a server: not from the settings of the test that happens to come first.

    The description of the routes, too.
    """
    import_module(settings.ROOT_URLCONF)
    import_module("imagecatalog.openapi").document()


@pytest.fixture(scope="session", autouse=True)
def real_ticks() -> None:
    """The thread that measures how long this process runs keeps the real clock.

    Tests replace ``time.monotonic`` for the whole process: a tick meanwhile would move the clock of
    ``min_rate`` for all tests that follow, even to below 0.
    """
    clock = SimpleNamespace(monotonic=time.monotonic, sleep=time.sleep)
    min_rate.time = clock  # type: ignore[assignment]


@pytest.fixture(scope="session", autouse=True)
def static_files() -> Iterator[None]:
    """Look for the admin's files once: each test client loads the middleware anew."""
    found: dict[str, Any] = {}
    look = WhiteNoiseMiddleware.add_files_from_finders

    def look_once(middleware: WhiteNoiseMiddleware) -> None:
        if not found:
            look(middleware)
            found.update(middleware.files)
        middleware.files.update(found)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(WhiteNoiseMiddleware, "add_files_from_finders", look_once)
        yield


@pytest.fixture(scope="session", autouse=True)
def described_answers(routes: None) -> Iterator[None]:
    """Compare the status codes that tests provoke with the OpenAPI document."""
    send = Client.request

    def send_and_check(client: Client, **request: Any) -> Any:
        response = send(client, **request)
        method, path = request["REQUEST_METHOD"], request["PATH_INFO"]
        match = response.wsgi_request.resolver_match
        described.check(method, path, response.status_code, match)
        return response

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Client, "request", send_and_check)
        yield


@pytest.fixture
def tmp_path(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Path]:
    """A new folder, which is removed unless the test fails.

    For each folder, pytest's own fixture looks through the links to all earlier ones.
    """
    name = re.sub(r"\W", "_", request.node.name)[:30]
    folder = tmp_path_factory.mktemp(f"{name}{next(numbers)}", numbered=False)
    yield folder
    if FAILED not in request.node.stash:
        shutil.rmtree(folder, ignore_errors=True)


# Databases


@pytest.fixture(scope="session")
def django_db_modify_db_settings(
    django_db_modify_db_settings_parallel_suffix: None,
    django_db_blocker: DjangoDbBlocker,
    tmp_path_factory: pytest.TempPathFactory,
    common_templates: None,
) -> Iterator[None]:
    """SQLite in a file, which threads can share, and another one for each process.

    Its commits do not wait for the disk: no test cuts the power. One process of the run migrates.
    """
    if connection.vendor != "sqlite":
        yield
        return
    folder = tmp_path_factory.mktemp("database")
    servers.make_database(folder)
    file = (folder / servers.SQLITE).rename(folder / "test.sqlite3")
    connection.settings_dict["TEST"]["NAME"] = str(file)
    connection.settings_dict["OPTIONS"]["init_command"] += "PRAGMA synchronous=OFF;"
    yield
    with django_db_blocker.unblock():
        connection.close()


@pytest.fixture(scope="session")
def django_db_keepdb() -> bool:
    """Whether the database is there before pytest-django makes one, and is not its to delete."""
    return connection.vendor == "sqlite"


# Servers


@pytest.fixture(scope="session", autouse=True)
def common_templates(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Let one process of the run prepare the databases that all tests and services copy."""
    servers.templates = once.common_folder(tmp_path_factory)


@pytest.fixture(scope="session")
def postgres_url() -> Iterator[str]:
    """The URL of a real PostgreSQL; ``servers.new_database(url)`` makes a database there."""
    try:
        with servers.postgres() as url:
            yield url
    except servers.Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture(scope="session")
def s3_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[servers.S3]:
    with servers.nanio(tmp_path_factory.mktemp("s3")) as s3:
        yield s3


@pytest.fixture(scope="session")
def publish_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a key of GnuPG, for IMAGECATALOG_PUBLISH_KEY."""
    if missing := [it for it in ("gpg", "gpg-agent", "gpgv") if not shutil.which(it)]:
        pytest.skip(f"{', '.join(missing)} is not installed")
    folder = tmp_path_factory.mktemp("keys") / "publish-key"
    signing.create(folder, published_family.KEY_USER)
    return folder


@pytest.fixture
def signed(settings: Any, publish_key: Path) -> None:
    """Publish to everybody, with signatures by the key in ``publish_key``."""
    settings.IMAGECATALOG_PUBLISH = "public"
    settings.IMAGECATALOG_PUBLISH_KEY = str(publish_key)


@pytest.fixture
def s3(s3_server: servers.S3, monkeypatch: pytest.MonkeyPatch) -> servers.S3:
    """A real S3 server, with its credentials in the environment."""
    for name, value in s3_server.env.items():
        monkeypatch.setenv(name, value)
    return s3_server


@pytest.fixture(scope="session")
def small_catalogue(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[servers.Service]:
    """Our service on SQLite and a folder. Pages of servers.DASHBOARD can use it."""
    env = {"IMAGECATALOG_CORS_ORIGINS": servers.DASHBOARD}
    with servers.catalogue(tmp_path_factory.mktemp("small"), env) as service:
        yield service


@pytest.fixture(scope="session")
def large_catalogue(
    tmp_path_factory: pytest.TempPathFactory, postgres_url: str, s3_server: servers.S3
) -> Iterator[servers.Service]:
    """Our service on PostgreSQL and an object store."""
    folder = tmp_path_factory.mktemp("large")
    env = s3_server.env | {
        "DATABASE_URL": servers.prepared_database(postgres_url),
        "IMAGECATALOG_STORES": s3_server.store(),
    }
    with servers.catalogue(folder, env) as service:
        yield service


@pytest.fixture(scope="session", params=["sqlite+folder", "postgres+s3"])
def catalogue(request: pytest.FixtureRequest) -> servers.Service:
    """Our service; the test runs once on each kind of backend."""
    small = request.param == "sqlite+folder"
    return request.getfixturevalue("small_catalogue" if small else "large_catalogue")


@pytest.fixture(scope="session")
def any_catalogue(small_catalogue: servers.Service) -> servers.Service:
    """Our service, for tests to which the backend makes no difference."""
    return small_catalogue


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 8 MiB."""
    folder = tmp_path / "small"
    folder.mkdir()
    with memory_disk.mounted(folder, "8m") as done:
        if not done:
            pytest.skip("a small file system can be mounted by root only")
        yield folder


# The catalogue's content


@pytest.fixture(autouse=True)
def data_dir(settings: Any, tmp_path: Path) -> Path:
    """Data folder and default store of this test alone."""
    settings.IMAGECATALOG_DATA_DIR = tmp_path
    settings.IMAGECATALOG_STORES = f"local=file://{tmp_path}/images"
    (tmp_path / "images").mkdir()
    (tmp_path / "images" / MARKER).touch()  # as a store that was used before
    return tmp_path


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of this process do not wait for the disk. tests/stores overrides this."""
    monkeypatch.setattr(os, "fsync", lambda file: None)
    monkeypatch.setattr(os, "fdatasync", lambda file: None)


@pytest.fixture(autouse=True)
def nothing_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing that this process remembers of other tests, whose databases are gone.

    No downloads that Django's test client has left open, rows that could not be cleaned up, outages
    whose next errors would not be logged, addresses that have to wait, limits of projects, and
    requests that count: all tests have the same projects.
    """
    concurrency.share(64, 8192)
    monkeypatch.setattr(object_removal, "_stuck", {})
    monkeypatch.setattr(object_removal, "_logged", {})
    monkeypatch.setattr(outages, "_current", None)
    monkeypatch.setattr(throttle, "_refused", {})
    monkeypatch.setattr(attempt_counts, "_own", {})
    limits._own.cache_clear()
    unified_limits._latest.cache_clear()
    monkeypatch.setattr(request_rate, "_table", bytearray(len(request_rate._table)))


@pytest.fixture(scope="session", autouse=True)
def cheap_passwords() -> None:
    """Half a second less for each password in this process. Services hash as in production."""
    settings.PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]


@pytest.fixture
def counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[[], dict[tuple[str, ...], float]]]:
    """``counts()``: what this process has counted for the metrics, by name and labels."""
    (folder := tmp_path / "metrics").mkdir()
    monkeypatch.setenv(process_metrics.FOLDER, str(folder))
    monkeypatch.setattr(process_metrics, "_metrics", {})
    monkeypatch.setattr(process_metrics, "_place", None)
    monkeypatch.setattr(values, "ValueClass", values.ValueClass)
    process_metrics.start()
    yield lambda: samples.values(process_metrics.sums())
    assert process_metrics._place
    process_metrics._place.close()


@pytest.fixture
def admin() -> Caller:
    return Caller("root", "project-of-admins", implied("admin"), interface="test")


@pytest.fixture
def member() -> Caller:
    """Whose project owns what ``make_image`` makes."""
    return Caller("alice", PROJECT, implied("member"), interface="test")


@pytest.fixture
def reader() -> Caller:
    """Of the same project."""
    return Caller("rita", PROJECT, implied("reader"), interface="test")


@pytest.fixture
def stranger() -> Caller:
    """A member of another project."""
    return Caller("mallory", "project-b", implied("member"), interface="test")


@pytest.fixture
def make_image(db: None) -> Callable[..., Image]:
    """``make_image(status="active", data=b"…", name="…")``: a row as the life cycle leaves it.

    What the status stands for comes with it: data and a location, a running transfer, the
    time of deletion.
    """

    def make(
        status: str = Status.QUEUED, data: bytes | None = None, **fields: Any
    ) -> Image:
        if data is None and status in HAVE_DATA:
            data = b"the bytes of an image"
        fields = _implied_fields(status) | _digests(data) | fields
        image = Image.objects.create(status=status, **fields)
        if data is not None:
            _store(image, data)
        if status in OWNED:
            Transfer.objects.create(
                image=image,
                kind=OWNED[status],
                store=stores.default().id,
                key=_key(image),
                worker="elsewhere:1",
            )
        return image

    return make


@pytest.fixture
def aged(make_image: Any) -> Callable[..., Image]:
    """``aged(100, name="debian")``: an active image that was created so many days ago."""

    def make(age: float, status: str = "active", **fields: Any) -> Image:
        created = timezone.now() - timedelta(days=age)
        fields = {"name": "debian", "created_at": created, **fields}
        image: Image = make_image(status, **fields)
        return image

    return make


@pytest.fixture
def client_of(db: None, settings: Any) -> Callable[[Caller], Client]:
    """``client_of(member).get("/v2/images")``: Django's test client, signed in as a caller.

    It cannot send chunked bodies: what needs them drives the real server (tests/wire).
    """

    def sign_in(caller: Caller) -> Client:
        user, _ = get_user_model().objects.get_or_create(username=caller.user)
        project, _ = Project.objects.get_or_create(
            id=caller.project, defaults={"name": caller.project}
        )
        role = next(it for it in ("admin", "member", "reader") if it in caller.roles)
        RoleAssignment.objects.get_or_create(user=user, project=project, role=role)
        key = f"{caller.user}-key"
        settings.IMAGECATALOG_STATIC_KEYS += (f"{caller.user}:{key}",)
        return Client(headers={"X-Auth-Token": key})

    return sign_in


HAVE_DATA = (Status.ACTIVE, Status.DEACTIVATED, Status.PENDING_DELETE)
OWNED = {
    Status.SAVING: TransferKind.UPLOAD,
    Status.UPLOADING: TransferKind.STAGE,
    Status.IMPORTING: TransferKind.IMPORT,
}


def _implied_fields(status: str) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "owner": PROJECT,
        "disk_format": "raw",
        "container_format": "bare",
    }
    if status in (Status.PENDING_DELETE, Status.DELETED):
        fields["deleted_at"] = timezone.now()
    if status == Status.PENDING_DELETE:
        fields["status_before_delete"] = Status.ACTIVE
    return fields


def _digests(data: bytes | None) -> dict[str, Any]:
    if data is None:
        return {}
    return {
        "size": len(data),
        "checksum": hashlib.md5(data, usedforsecurity=False).hexdigest(),
        "os_hash_algo": "sha512",
        "os_hash_value": hashlib.sha512(data).hexdigest(),
    }


def _key(image: Image) -> str:
    return f"{image.id[:2]}/{image.id}.{uuid4().hex}"


def _store(image: Image, data: bytes) -> None:
    store, key = stores.default(), _key(image)
    store.put(key, [data])
    trashed = image.status == Status.PENDING_DELETE
    status = LocationStatus.PENDING_DELETE if trashed else LocationStatus.ACTIVE
    ImageLocation.objects.create(image=image, store=store.id, key=key, status=status)


@pytest.fixture
def policy(tmp_path: Path, settings: Any) -> Iterator[Callable[[str], None]]:
    """``policy("add_image: role:reader")`` sets a policy file with this text."""

    def write(text: str) -> None:
        path = tmp_path / "policy.yaml"
        path.write_text(text)
        rules._overrides.cache_clear()
        settings.IMAGECATALOG_POLICY_FILE = str(path)

    yield write
    rules._overrides.cache_clear()
