"""The blocks of the documentation are run, page by page, as by a reader of the page.

tests/docs/uses.py says which ones are tried elsewhere, and what comes before a block.
"""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from uuid import uuid4

import pytest

from tests import debian, qemu, servers, web
from tests.docs import uses
from tests.docs.reader import API, Reader
from tests.servers import Service
from tests.wire.api import Api, CatalogApi

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("documentation")]

PASSWORD = "documented-and-long-enough"
DATABASE = "postgresql://catalogue@db/catalogue"
BUCKET, BACKUPS = "s3://images?region=eu-central-1", "s3://backups/catalogue"
ON_OBJECTS = (BUCKET, BACKUPS)


def text_of(page: str) -> str:
    return "".join(block.text for block in uses.run_here() if block.page == page)


def pages() -> Iterator[object]:
    """The pages with blocks that are run here, with marks."""
    for name in dict.fromkeys(block.page for block in uses.run_here()):
        text = text_of(name)
        marks = [pytest.mark.long] * (name in uses.LONG)
        marks += [pytest.mark.needs_postgres] * (DATABASE in text)
        marks += [pytest.mark.s3] * any(url in text for url in ON_OBJECTS)
        yield pytest.param(name, marks=marks, id=Path(name).stem)


def _delete_families(service: Service) -> None:
    """Delete all families, because they protect their current images from deletion."""
    with CatalogApi(service) as api:
        for family in api.get("families").json()["families"]:
            assert api.delete(f"families/{family['id']}").status_code == 204


@dataclass(frozen=True)
class Services:
    """The service of which the pages speak, and one of another region."""

    ours: Service
    remote: Service
    data: bytes

    def empty(self) -> None:
        """Delete the families and images of other pages."""
        for service in (self.ours, self.remote):
            _delete_families(service)
            with Api(service) as api:
                for image in api.get("images", params={"limit": 1000}).json()["images"]:
                    assert api.delete(f"images/{image['id']}").status_code == 204

    def image(self, status: str) -> str:
        """The id of a new image in this status, see ``uses.STATUS_BEFORE``."""
        image_id = str(uuid4())
        if status in ("remote", "both"):
            with Api(self.remote) as api:
                api.new(id=image_id, name="documented", visibility="public")
                assert api.upload(image_id, self.data).status_code == 204
        if status != "remote":
            with Api(self.ours) as api:
                api.new(id=image_id, name="documented")
                if status not in ("both", "queued"):
                    assert api.upload(image_id, self.data).status_code == 204
                if status == "pending_delete":
                    assert api.delete(f"images/{image_id}").status_code == 204
        return image_id

    def expect(self, image_id: str, status: str) -> None:
        """Wait until the image is in this status."""

        def reached() -> bool:
            answer = api.get(f"images/{image_id}")
            return (answer.json()["status"] if answer.ok else "deleted") == status

        with Api(self.ours) as api:
            servers.wait_until(reached, f"the status {status}")


@pytest.fixture(scope="module")
def disks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with disks, and a file with the digest of one."""
    folder = tmp_path_factory.mktemp("disks")
    (folder / "trixie").mkdir()
    for name in ("disk.qcow2", "debian.qcow2", "trixie/disk.qcow2"):
        qemu.qemu_img("create", "-f", "qcow2", name, "1M", cwd=folder)
    (folder / "disk.raw").write_bytes(b"raw" * 1000)
    (folder / "trixie" / "SHA256SUMS").write_text(
        f"{sha256(folder / 'trixie' / 'disk.qcow2')}  disk.qcow2\n"
    )
    return folder


def sha256(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.fixture(scope="module")
def site(disks: Path) -> Iterator[str]:
    """The URL of a web server with the disks."""
    with web.serving_folder(disks) as url:
        yield url


@pytest.fixture(scope="module")
def services(
    disks: Path, site: str, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Services]:
    folder = tmp_path_factory.mktemp("documented")
    (folder / "remote").mkdir()
    with servers.catalogue(folder / "remote", workers=1) as remote:
        regions = [
            web.region(name, remote.url, folder / f"{name}.json", *remote.auth)
            for name in ("east", "old")
        ]
        stores = [f"{name}=file://{folder}/{name}" for name in ("local", "cold", "far")]
        stores[0] += "?cache=on"
        env = web.allow(site) | {
            "IMAGECATALOG_ADMIN_PASSWORD": PASSWORD,
            "IMAGECATALOG_CACHE_DIR": f"{folder}/cache",
            "IMAGECATALOG_REMOTES": ",".join(regions),
            "IMAGECATALOG_STORES": ",".join(stores),
        }
        with servers.catalogue(folder, env, workers=1) as ours:
            ours = replace(ours, password=PASSWORD)
            yield Services(ours, remote, (disks / "disk.raw").read_bytes())


@pytest.fixture(scope="module")
def projects(services: Services) -> dict[str, str]:
    """Texts of the documentation -> the ids of the projects for which they stand."""
    ours = services.ours
    bob = ("user_create", "bob", "--project", "of-bob")
    secret = {"IMAGECATALOG_USER_PASSWORD": PASSWORD}
    created = servers.manage(ours.env | secret, *bob).stdout
    (of_bob,) = re.findall(r"\(id (\w+)\)", created)
    with Api(ours) as api:
        of_admin = api.image(api.new())["owner"]
    return {"PROJECT-ID": of_bob, "PROJECT ": f"{of_admin} ", "45b7…": of_admin}


@pytest.fixture
def gnupg_home() -> Iterator[Path]:
    """A home of GnuPG with a short path: the name of a socket has at most 107 characters."""
    with tempfile.TemporaryDirectory(prefix="gpg-") as name:
        yield Path(name)
        kill = ["gpgconf", "--homedir", name, "--kill", "all"]
        if shutil.which(kill[0]):
            subprocess.run(kill, check=False)


@pytest.fixture
def reader(
    request: pytest.FixtureRequest,
    page: str,
    disks: Path,
    site: str,
    terminal: int,
    gnupg_home: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> Reader:
    """A reader of the page, with what it needs in place of what the page names."""
    program = uses.PROGRAMS.get(page)
    if program and not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    monkeypatch.setenv("GNUPGHOME", str(gnupg_home))
    if page in uses.OF_DEBIAN:
        for name, value in debian_environ().items():
            monkeypatch.setenv(name, value)
    folder, text = tmp_path / "checkout", text_of(page)
    texts = {
        "https://example.org": site,
        "https://images.example.org/debian": f"{site}/debian",
        "9f86d081…": sha256(disks / "disk.qcow2"),
        "528482304": str((disks / "disk.qcow2").stat().st_size),
        "5e2f…": sha256(disks / "disk.raw"),
        "/etc/imagecatalog/": f"{folder}/secrets/",
        "/run/secrets/": f"{folder}/secrets/",
        "/usr/share/glance/": f"{folder}/glance/",
        "/srv/backups": f"{folder}/backups",
        "/srv/images": f"{folder}/var/images",
        "PASSWORD=…": f"PASSWORD={PASSWORD}",
        'password="…"': f'password="{PASSWORD}"',
        "SECRET_KEY=…": "SECRET_KEY=a-documented-key-that-is-long-enough",
    }
    texts |= {f"{name}:…": f"{name}:{PASSWORD}" for name in ("admin", "alice", "bob")}
    env = {"IMAGECATALOG_DATA_DIR": f"{folder}/var"}
    if page not in uses.OWN:
        ours: Service = request.getfixturevalue("services").ours
        of: dict[str, str] = request.getfixturevalue("projects")
        env = ours.env | {"SERVICE": ours.url, "ADMIN": f"admin:{PASSWORD}"}
        if "OS_AUTH_TYPE=" not in text:
            env |= client(ours, of["45b7…"])
        texts |= of | {API: ours.url}
    if DATABASE in text:
        server = request.getfixturevalue("postgres_url")
        texts[DATABASE] = servers.new_database(server)
    if any(url in text for url in ON_OBJECTS):
        s3: servers.S3 = request.getfixturevalue("s3_server")
        env |= s3.env
        texts["https://s3.example.org"] = s3.endpoint
        texts[BACKUPS] = f"s3://{s3.bucket}/backups-{uuid4()}"
        texts[BUCKET] = s3.store(prefix=f"images-{uuid4()}").partition("=")[2]
    return Reader(prepared(folder, disks), env, texts, terminal)


def debian_environ() -> dict[str, str]:
    try:
        return debian.environ()
    except servers.Missing as missing:
        pytest.skip(str(missing))


def client(service: Service, project: str) -> dict[str, str]:
    """The settings of OpenStack's clients."""
    openstack = {
        "AUTH_TYPE": "v3password",
        "AUTH_URL": f"{service.url}/identity/v3",
        "USERNAME": "admin",
        "PASSWORD": PASSWORD,
        "PROJECT_ID": project,
        "USER_DOMAIN_ID": "default",
        "IDENTITY_API_VERSION": "3",
    }
    return {f"OS_{name}": value for name, value in openstack.items()}


def prepared(folder: Path, disks: Path) -> Path:
    """The folder, with the disks and the secrets that pages name."""
    secrets = folder / "secrets"
    secrets.mkdir(parents=True)
    for name in ("oidc", "database-password"):
        (secrets / name).write_text("a secret")
        (secrets / name).chmod(0o600)
    for disk in disks.glob("disk.*"):
        (folder / disk.name).write_bytes(disk.read_bytes())
    return folder


@pytest.fixture
def clouds(request: pytest.FixtureRequest, page: str, reader: Reader) -> None:
    """A file ``clouds.yaml`` in the reader's folder, if the page connects to clouds by name."""
    if "openstack.connect(" not in text_of(page) or page in uses.OWN:
        return
    services: Services = request.getfixturevalue("services")
    named = {"imagecatalog": services.ours, "glance": services.remote}
    clouds = {
        name: {
            "auth_type": "http_basic",
            "auth": {
                "username": service.username,
                "password": service.password,
                "endpoint": f"{service.url}/v2",
            },
        }
        for name, service in named.items()
    }
    (reader.folder / "clouds.yaml").write_text(json.dumps({"clouds": clouds}))


@pytest.mark.parametrize("page", [*pages()])
def test_the_blocks_of_a_page_do_what_it_says(
    request: pytest.FixtureRequest, page: str, reader: Reader, clouds: None
) -> None:
    services: Services | None = None
    if page not in uses.OWN:
        services = request.getfixturevalue("services")
        services.empty()
    image_id = str(uuid4())
    for block in uses.run_here():
        if block.page != page:
            continue
        if services:
            image_id = services.image(uses.of(uses.STATUS_BEFORE, block, "active"))
        reader.follow(block, image_id, uses.of(uses.PREPARATIONS, block))
        if services:
            services.expect(image_id, uses.of(uses.STATUS_AFTER, block, "active"))
