"""The wheel, installed into an empty environment: it needs nothing of the checkout."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from tests import release, servers

pytestmark = [
    pytest.mark.slow,
    pytest.mark.xdist_group("package"),
]
PIP = ["-m", "pip", "--quiet", "--no-input", "--disable-pip-version-check"]


def build(sources: Path, folder: Path) -> Path:
    command = [sys.executable, *PIP, "wheel", "--no-deps", "-w", folder, sources]
    subprocess.run(command, check=True)
    (made,) = folder.iterdir()
    return made


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(servers.ROOT, tmp_path_factory.mktemp("wheel"))


@pytest.fixture(scope="module")
def scripts(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs of an environment with nothing but the wheel."""
    folder = tmp_path_factory.mktemp("environment")
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    versions = folder / "constraints.txt"
    locked = (servers.ROOT / "requirements.txt").read_text()
    versions.write_text(
        "\n".join(re.findall("^[a-z][^ ]*==[^ ]*", locked, re.MULTILINE))
    )
    command = [folder / "bin" / "python", *PIP, "install", "--no-compile"]
    subprocess.run([*command, "-c", versions, wheel], check=True)
    return folder / "bin"


@pytest.fixture(scope="module")
def installed(
    scripts: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[servers.Service]:
    folder = tmp_path_factory.mktemp("installed")
    program = [scripts / "imagecatalog"]
    with servers.catalogue(
        folder, migrated=False, root=folder, program=program
    ) as service:
        yield service


def test_the_wheel_has_the_files_that_are_not_python(wheel: Path) -> None:
    packed = set(zipfile.ZipFile(wheel).namelist())
    files = {
        str(path.relative_to(servers.ROOT))
        for folder in ("imagecatalog", "images", "templates")
        for path in (servers.ROOT / folder).rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }

    assert {
        f"imagecatalog/{name}" if name.startswith("templates/") else name
        for name in files
    } <= packed
    assert not [name for name in packed if name.startswith(("tests/", "templates/"))]


def git(folder: Path, *command: str | Path) -> None:
    subprocess.run(["git", *command], cwd=folder, check=True, capture_output=True)


@pytest.fixture
def tagged(tmp_path: Path) -> Path:
    """A clone of this checkout at a tag."""
    if not (servers.ROOT / ".git").exists():
        pytest.skip("this is no checkout")
    git(tmp_path, "clone", "--quiet", "--no-tags", servers.ROOT, "clone")
    git(tmp_path / "clone", "tag", "v71.8.9")
    return tmp_path / "clone"


@pytest.mark.long
def test_the_wheel_of_a_tag_has_its_version(tagged: Path, tmp_path: Path) -> None:
    assert release.version_of(build(tagged, tmp_path / "wheel")) == "71.8.9"


@pytest.mark.long
def test_an_archive_of_a_tag_has_its_version(tagged: Path, tmp_path: Path) -> None:
    archive, unpacked = tmp_path / "archive.tar", tmp_path / "unpacked"
    git(tagged, "archive", "--output", archive, "HEAD")
    shutil.unpack_archive(archive, unpacked, filter="data")

    assert release.version_of(build(unpacked, tmp_path / "wheel")) == "71.8.9"


@pytest.mark.long
def test_files_without_git_make_a_wheel(tagged: Path, tmp_path: Path) -> None:
    shutil.rmtree(tagged / ".git")

    assert release.version_of(build(tagged, tmp_path / "wheel")) == "0.0.0"


def test_an_installed_service_stores_an_image(installed: servers.Service) -> None:
    with requests.Session() as session:
        session.auth = installed.auth
        image = {"name": "one", "disk_format": "raw", "container_format": "bare"}
        url = session.post(f"{installed.url}/v2/images", json=image).headers["Location"]
        kind = {"Content-Type": "application/octet-stream"}
        session.put(f"{url}/file", data=b"bytes", headers=kind).raise_for_status()

        assert session.get(url).json()["status"] == "active"
        assert session.get(f"{url}/file").content == b"bytes"


def test_an_installed_service_has_the_admin_with_its_styles_and_templates(
    installed: servers.Service,
) -> None:
    with requests.Session() as session:
        page = session.get(f"{installed.url}/admin/login/")
        form = {
            "csrfmiddlewaretoken": session.cookies["csrftoken"],
            "username": installed.username,
            "password": installed.password,
            "next": "/admin/",
        }
        front = session.post(page.url, data=form, headers={"Referer": page.url})
        assert (front.status_code, "Log out" in front.text) == (200, True)
        assert session.get(f"{installed.url}/admin/images/image/").status_code == 200
        style = session.get(f"{installed.url}/static/images/catalogue.css")

    assert style.headers["Content-Type"].startswith("text/css")


def test_the_worker_of_an_installed_service_runs(installed: servers.Service) -> None:
    servers.wait_until(lambda: servers.background_worker(installed), "the worker")


def test_the_installed_command_and_the_module_say_the_version_of_the_wheel(
    wheel: Path, scripts: Path
) -> None:
    for program in (
        [scripts / "imagecatalog"],
        [scripts / "python", "-m", "imagecatalog"],
    ):
        done = subprocess.run(
            [*program, "--version"], cwd="/", capture_output=True, text=True
        )
        assert done.stdout == f"imagecatalog {release.version_of(wheel)}\n"


def test_commands_of_an_installed_service_find_its_data(
    scripts: Path, tmp_path: Path
) -> None:
    env = {"HOME": str(tmp_path), "XDG_STATE_HOME": str(tmp_path), "PATH": os.defpath}
    code = "from imagecatalog.settings import IMAGECATALOG_DATA_DIR as d; print(d)"
    done = subprocess.run(
        [scripts / "python", "-c", code],
        cwd="/",
        env=env,
        capture_output=True,
        text=True,
    )
    expected = (
        Path("/var/lib/imagecatalog")
        if os.geteuid() == 0
        else tmp_path / "imagecatalog"
    )

    assert done.stdout.strip() == str(expected), done.stderr
