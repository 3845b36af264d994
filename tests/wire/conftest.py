"""What the tests of the wire share: clients, and sight of what the service has really done."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path
from uuid import uuid4

import pytest
from playwright.sync_api import Browser

from tests import servers
from tests.servers import Missing, Service
from tests.web import serving_new
from tests.wire.api import Api, ApiV1
from tests.wire.browser import chromium
from tests.wire.clients import Clients, loaded
from tests.wire.evidence import Evidence

MEMBER_PASSWORD = "a member's password"
DATA = os.urandom((5 << 20) + 7)
# With a short lease, background workers make a round every second, else every ten.
FREQUENT_ROUNDS = {"IMAGECATALOG_LEASE_SECONDS": "6"}

Start = Callable[..., AbstractContextManager[Evidence]]


@pytest.fixture
def service(small_catalogue: Service) -> Service:
    """Our service, for tests of browsers: to them the backend makes no difference."""
    return small_catalogue


@pytest.fixture
def api(catalogue: Service) -> Iterator[Api]:
    """Signed in as the admin."""
    with Api(catalogue) as session:
        yield session


@pytest.fixture
def v1(catalogue: Service) -> Iterator[ApiV1]:
    """Signed in as the admin, at API v1."""
    with ApiV1(catalogue) as session:
        yield session


@pytest.fixture
def no_traceback(catalogue: Service) -> Iterator[None]:
    """The service logs none during the test."""
    before = catalogue.log.stat().st_size
    yield
    with catalogue.log.open("rb") as log:
        log.seek(before)
        assert b"Traceback" not in log.read()


@pytest.fixture
def evidence(catalogue: Service, request: pytest.FixtureRequest) -> Evidence:
    if "DATABASE_URL" in catalogue.env:
        s3: servers.S3 = request.getfixturevalue("s3_server")
        return Evidence(catalogue, s3.folder.parent)
    return Evidence(catalogue, catalogue.data_dir / "images")


@pytest.fixture
def member(catalogue: Service) -> tuple[str, str]:
    """Name and password of a new user, a member of a project of its own."""
    name = f"member-{uuid4().hex[:8]}"
    env = catalogue.env | {"IMAGECATALOG_USER_PASSWORD": MEMBER_PASSWORD}
    replace(catalogue, env=env).manage("user_create", name, "--project", name)
    return name, MEMBER_PASSWORD


@pytest.fixture(params=["sqlite+folder", "postgres+s3"])
def start(request: pytest.FixtureRequest, tmp_path: Path) -> Start:
    """``with start(IMAGECATALOG_LEASE_SECONDS="5") as evidence``: a service of the test's own."""
    backend: dict[str, str] = {}
    folder = tmp_path / "data" / "images"
    if request.param == "postgres+s3":
        server = request.getfixturevalue("postgres_url")
        s3: servers.S3 = request.getfixturevalue("s3_server")
        folder = s3.folder.parent
        backend = s3.env | {
            "DATABASE_URL": servers.prepared_database(server),
            "IMAGECATALOG_STORES": s3.store(),
        }

    @contextmanager
    def start(**env: str) -> Iterator[Evidence]:
        with servers.catalogue(tmp_path, backend | env) as service:
            yield Evidence(service, folder)

    return start


@pytest.fixture(scope="session")
def clients() -> Iterator[Clients]:
    """Run ``openstack`` and ``glance`` without loading them for each command."""
    with loaded() as found:
        yield found


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    try:
        with chromium() as found:
            yield found
    except Missing as missing:
        pytest.skip(str(missing))


@pytest.fixture
def terminal() -> Iterator[int]:
    """A terminal as standard input: from anything else the command reads data."""
    ours, its = os.openpty()
    yield its
    os.close(ours)
    os.close(its)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(DATA)
    return path


@pytest.fixture
def web(tmp_path: Path) -> Iterator[str]:
    with serving_new(tmp_path / "web", {"disk.raw": DATA}) as url:
        yield f"{url}/disk.raw"
