"""Stock clients sign in to nothing but our service, with what ``clouds_yaml`` prints."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from openstack.config import OpenStackConfig
from openstack.connection import Connection

from tests.servers import Service
from tests.wire.clients import Clients
from tests.wire.conftest import MEMBER_PASSWORD

DATA = os.urandom((1 << 20) + 7)
FORMATS = ("--disk-format", "raw", "--container-format", "bare")

Cloud = Callable[..., Path]


@pytest.fixture
def cloud(any_catalogue: Service, tmp_path: Path) -> Cloud:
    """``cloud("alice", "--credential", "robot")``: the clouds.yaml of a user."""

    def write(user: str, *options: str) -> Path:
        words = ["clouds_yaml", user, "--url", any_catalogue.url, *options]
        text = any_catalogue.manage(*words, "--only", "clouds.yaml")
        path = tmp_path / f"{user}-{len(options)}.yaml"
        path.write_text(text.replace('"PASSWORD"', json.dumps(MEMBER_PASSWORD)))
        return path

    return write


@pytest.fixture
def friend(any_catalogue: Service) -> str:
    """A user, and the project of the same name of which it is a member."""
    return new_user(any_catalogue)


@pytest.fixture
def owner(any_catalogue: Service) -> str:
    return new_user(any_catalogue)


@pytest.fixture
def disk(tmp_path: Path) -> Path:
    path = tmp_path / "disk.raw"
    path.write_bytes(DATA)
    return path


def new_user(service: Service) -> str:
    name = f"user-{uuid4().hex[:8]}"
    env = service.env | {"IMAGECATALOG_USER_PASSWORD": MEMBER_PASSWORD}
    command = [sys.executable, "manage.py", "user_create", name, "--project", name]
    subprocess.run(command, env=env, check=True, capture_output=True)
    return name


def project_id(service: Service, name: str) -> str:
    lines = service.manage("user_list").splitlines()
    line = next(line for line in lines if line.startswith(f"{name}:"))
    return line.rpartition("(")[2].rstrip(")")


Run = Callable[..., Any]


@pytest.fixture
def run(clients: Clients) -> Run:
    """``run("glance", env, "image-list")``: what it prints, as JSON if it was asked for that."""
    kept = {name: value for name, value in os.environ.items() if name[:3] != "OS_"}

    def run(program: str, env: dict[str, str], *words: str | Path) -> Any:
        done = clients.run(program, *words, env=kept | env)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout) if "json" in words else done.stdout

    return run


@pytest.fixture
def openstack_client(run: Run) -> Callable[[Path], Run]:
    def client(clouds: Path) -> Run:
        env = {"OS_CLIENT_CONFIG_FILE": str(clouds), "OS_CLOUD": "imagecatalog"}
        return lambda *words: run("openstack", env, *words)

    return client


@pytest.mark.parametrize("options", [(), ("--credential", "robot")])
def test_openstack_creates_shares_and_downloads(
    options: tuple[str, ...],
    any_catalogue: Service,
    openstack_client: Callable[[Path], Run],
    cloud: Cloud,
    owner: str,
    friend: str,
    disk: Path,
    tmp_path: Path,
) -> None:
    mine = openstack_client(cloud(owner, *options))
    theirs = openstack_client(cloud(friend, *options))
    saved, project = tmp_path / "saved", project_id(any_catalogue, friend)

    image = mine(
        "image", "create", *FORMATS, "--file", disk, "disk", "--shared", "-f", "json"
    )
    mine("image", "add", "project", image["id"], project)
    theirs("image", "set", "--accept", image["id"])
    theirs("image", "save", "--file", saved, image["id"])

    assert saved.read_bytes() == DATA
    listed = theirs("image", "list", "--shared", "-f", "json")
    assert [found["ID"] for found in listed] == [image["id"]]
    assert theirs("token", "issue", "-f", "json")["project_id"] == project


def test_openstack_makes_an_application_credential(
    openstack_client: Callable[[Path], Run], cloud: Cloud, owner: str
) -> None:
    client = openstack_client(cloud(owner))
    create = ["application", "credential", "create", "--role", "reader", "farm"]

    made = client(*create, "-f", "json")
    listed = client("application", "credential", "list", "-f", "json")
    client("application", "credential", "delete", "farm")

    assert made["Secret"]
    assert [one["Name"] for one in listed] == ["farm"]
    assert client("application", "credential", "list", "-f", "json") == []


def test_glance_creates_shares_and_downloads(
    run: Run,
    any_catalogue: Service,
    owner: str,
    friend: str,
    disk: Path,
    tmp_path: Path,
) -> None:
    def glance(user: str, *words: str | Path) -> str:
        env = {
            "HOME": str(tmp_path),  # it caches schemas there
            "OS_AUTH_URL": f"{any_catalogue.url}/identity/v3",
            "OS_USERNAME": user,
            "OS_PASSWORD": MEMBER_PASSWORD,
            "OS_PROJECT_NAME": user,
            "OS_USER_DOMAIN_ID": "default",
            "OS_PROJECT_DOMAIN_ID": "default",
        }
        return run("glance", env, *words)

    image_id, saved = str(uuid4()), tmp_path / "saved"
    project = project_id(any_catalogue, friend)
    new = ["--id", image_id, "--name", "disk", "--visibility", "shared"]
    glance(owner, "image-create", *FORMATS, *new, "--file", disk)
    glance(owner, "member-create", image_id, project)
    glance(friend, "member-update", image_id, project, "accepted")
    glance(friend, "image-download", image_id, "--file", saved)

    assert saved.read_bytes() == DATA
    assert image_id in glance(friend, "image-list")


def test_glance_takes_a_key_for_a_token(
    run: Run, any_catalogue: Service, owner: str, tmp_path: Path
) -> None:
    made = any_catalogue.manage("credential_create", owner, "key")
    key = made.split()[-1]

    env = {"HOME": str(tmp_path), "OS_AUTH_TOKEN": key}
    env["OS_IMAGE_URL"] = any_catalogue.url
    assert "Name" in run("glance", env, "image-list")


@pytest.mark.filterwarnings("ignore::PendingDeprecationWarning")
@pytest.mark.parametrize("options", [(), ("--credential", "robot")])
def test_openstacksdk_creates_shares_and_downloads(
    options: tuple[str, ...],
    any_catalogue: Service,
    cloud: Cloud,
    owner: str,
    friend: str,
    tmp_path: Path,
) -> None:
    def connect(user: str) -> Any:
        files = [str(cloud(user, *options))]
        config = OpenStackConfig(config_files=files, load_envvars=False)
        return Connection(config=config.get_one("imagecatalog"))

    project = project_id(any_catalogue, friend)
    with connect(owner) as mine, connect(friend) as theirs:
        image = mine.image.create_image(
            uuid4().hex, data=DATA, disk_format="raw", container_format="bare"
        )
        mine.image.add_member(image, member_id=project)
        theirs.image.update_member(project, image, status="accepted")
        saved = tmp_path / "saved"
        theirs.image.download_image(image.id, stream=True, output=str(saved))

        assert saved.read_bytes() == DATA
        shared = theirs.image.images(visibility="shared")
        assert [found.id for found in shared] == [image.id]
        assert theirs.current_project_id == project


@pytest.fixture(scope="module")
def gopher(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A program of gophercloud's, built from Debian's packages."""
    source = Path("/usr/share/gocode/src/github.com/gophercloud/gophercloud")
    if shutil.which("go") is None or not source.is_dir():
        pytest.skip("golang-go or golang-github-gophercloud-gophercloud-dev is missing")
    folder = tmp_path_factory.mktemp("gophercloud")
    env = {"GO111MODULE": "off", "GOPATH": "/usr/share/gocode"}
    env |= {"GOCACHE": str(folder / "cache")}
    build = ["go", "build", "-o", folder / "gopher", "main.go"]
    where = Path(__file__).with_name("gophercloud")
    subprocess.run(build, cwd=where, env=os.environ | env, check=True)
    return folder / "gopher"


@pytest.mark.parametrize("method", ["password", "application_credential"])
def test_gophercloud_creates_shares_and_downloads(
    method: str, any_catalogue: Service, owner: str, friend: str, gopher: Path
) -> None:
    login = [owner, MEMBER_PASSWORD, owner]
    if method == "application_credential":
        made = any_catalogue.manage("credential_create", owner, "robot").split()
        login = [made[1], made[3]]

    url, project = f"{any_catalogue.url}/identity/v3", project_id(any_catalogue, friend)
    subprocess.run([gopher, url, project, *login], check=True)
