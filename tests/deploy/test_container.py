"""The files for containers, as files; one long test builds the image and runs it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

from imagecatalog import env
from tests import environments, servers

FOLDER = servers.ROOT / "deploy" / "container"
CONTAINERFILE = (FOLDER / "Containerfile").read_text()
COMPOSE = sorted(FOLDER.glob("compose*.yaml"))
OURS = "imagecatalog"  # the name of the image
VALIDATE = """
import json, sys, yaml
from compose_spec import PyCompose
PyCompose.from_json(json.dumps(yaml.safe_load(sys.stdin))).validate()
"""

each_compose_file = pytest.mark.parametrize("path", COMPOSE, ids=lambda it: it.name)


def steps(instruction: str) -> list[str]:
    """The arguments of an instruction of the Containerfile, wherever it is used."""
    text = CONTAINERFILE.replace("\\\n", " ")
    return re.findall(rf"^{instruction} +(.*)$", text, re.MULTILINE)


def services(path: Path) -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = yaml.safe_load(path.read_text())["services"]
    return found


def ours(path: Path) -> list[dict[str, Any]]:
    return [it for it in services(path).values() if it["image"] == OURS]


def test_the_containerfile_has_only_instructions() -> None:
    text = CONTAINERFILE.replace("\\\n", " ")
    known = "ARG|FROM|COPY|RUN|LABEL|ENV|USER|WORKDIR|VOLUME|EXPOSE|HEALTHCHECK|ENTRYPOINT|CMD"

    assert not [
        line
        for line in text.splitlines()
        if line.strip() and not re.match(rf"#|(?:{known}) ", line)
    ]
    assert len(steps("FROM")) == 2


def test_the_containerfile_copies_what_a_checkout_or_make_dist_has() -> None:
    copied = [it.split()[:-1] for it in steps("COPY") if not it.startswith("--from")]
    (sources,) = copied
    kept = re.findall("^!(.*)$", (servers.ROOT / ".containerignore").read_text(), re.M)

    assert sources == ["requirements.txt", "dist/imagecatalog_server-*.whl"]
    assert kept == ["requirements.txt", "dist"]
    assert (servers.ROOT / ".dockerignore").read_text().count("!") == len(kept)


def test_the_image_serves_as_a_user_with_a_number_and_probes_itself() -> None:
    (variables,) = steps("ENV")
    settings = dict(it.split("=", 1) for it in variables.split())
    (probe,) = steps("HEALTHCHECK")

    assert re.fullmatch("[1-9][0-9]*:[1-9][0-9]*", *steps("USER"))
    assert {name for name in settings if name != "PATH"} <= env.known()
    assert f"http://{settings['IMAGECATALOG_MANAGEMENT_BIND']}/livez" in probe
    assert steps("VOLUME") == [settings["IMAGECATALOG_DATA_DIR"]]


def test_the_command_of_the_image_has_options_that_exist() -> None:
    name, *options = yaml.safe_load(*steps("CMD"))

    parser = load_command_class("images", name).create_parser(OURS, name)
    assert parser.parse_args(options)


@each_compose_file
def test_a_compose_file_gives_the_catalogue_no_more_than_it_needs(path: Path) -> None:
    assert ours(path)
    for service in ours(path):
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]


@each_compose_file
def test_the_variables_of_a_compose_file_exist(path: Path) -> None:
    known = env.known() | {f"{name}{env.FILE}" for name in env.known()}

    for service in ours(path):
        assert set(service.get("environment", ())) <= known


@each_compose_file
def test_the_files_that_a_compose_file_mounts_exist(path: Path) -> None:
    volumes = [it for one in services(path).values() for it in one.get("volumes", ())]
    files = [it.partition(":")[0] for it in volumes if it.startswith("./")]

    assert [name for name in files if not (FOLDER / name).is_file()] == []


def test_the_script_makes_all_secrets_of_the_cluster_and_keeps_them(
    tmp_path: Path,
) -> None:
    shutil.copy(FOLDER / "secrets.sh", tmp_path)
    script = ["sh", tmp_path / "secrets.sh"]
    done = subprocess.run(script, capture_output=True, text=True, check=True)
    again = subprocess.run(script, capture_output=True, text=True)
    document = yaml.safe_load((FOLDER / "compose.cluster.yaml").read_text())
    made = {f"secrets/{it.name}" for it in (tmp_path / "secrets").iterdir()}
    password = (tmp_path / "secrets" / "admin-password").read_text().strip()

    assert made == {
        *(secret["file"] for secret in document["secrets"].values()),
        *(it["env_file"] for it in document["services"].values() if "env_file" in it),
    }
    assert (tmp_path / "secrets").stat().st_mode & 0o777 == 0o700
    assert password in done.stdout
    assert again.returncode != 0


def test_the_proxy_of_the_cluster_is_the_documented_one() -> None:
    (documented,) = re.findall(
        r"^```nginx\n(.*?)^```$",
        (servers.ROOT / "docs/operations.md").read_text(),
        re.M | re.S,
    )
    _, _, shipped = (FOLDER / "nginx.conf").read_text().partition("\n")
    machines = [
        name for name in services(FOLDER / "compose.cluster.yaml") if "-" in name
    ]
    upstream = [f"server {name}:9292;" for name in machines]
    for theirs, here in {
        "server 127.0.0.1:9292;": "\n        ".join(["least_conn;", *upstream]),
        "listen 443 ssl ": "listen 8080 ",
        "        # Add server_name, ssl_certificate and ssl_certificate_key.\n": "",
    }.items():
        assert documented.count(theirs) == 1
        documented = documented.replace(theirs, here)

    assert shipped == documented


@pytest.mark.long
@pytest.mark.xdist_group("deploy")
def test_the_image_is_built_and_serves() -> None:
    if os.geteuid() or not all(map(shutil.which, ("podman", "runc", "debootstrap"))):
        pytest.skip("building needs root, podman, runc and debootstrap")
    # In the environment of this test, which needs no installation.
    made = [f"--old-file={sys.prefix}/{name}" for name in ("made", "tests")]
    command = ["make", *made, "container", f"VENV={sys.prefix}"]
    done = subprocess.run(command, cwd=servers.ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    assert "ok      the image is there after a restart" in done.stdout


@pytest.mark.slow
@pytest.mark.xdist_group("deploy")
@each_compose_file
def test_a_compose_file_is_valid(path: Path) -> None:
    python = environments.programs("deploy") / "python"
    done = subprocess.run(
        [python, "-c", VALIDATE], input=path.read_text(), capture_output=True, text=True
    )

    assert done.returncode == 0, done.stderr
