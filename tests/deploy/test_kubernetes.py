"""The manifests for Kubernetes, as files and as kustomize makes them."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import load_command_class

from imagecatalog import env
from images.management import probes
from tests import environments, servers

FOLDER = servers.ROOT / "deploy" / "kubernetes"
KINDS = ("single", "cluster")
# The oldest version that is still supported somewhere, and the newest one that is known.
VERSIONS = ("1.30", "1.37")
VALIDATE = """
import sys, kubernetes_validate, yaml
for document in yaml.safe_load_all(sys.stdin):
    for version in sys.argv[1:]:
        kubernetes_validate.validate(document, version, strict=True)
"""

each_kind = pytest.mark.parametrize("kind", KINDS)
Document = dict[str, Any]


def documents(kind: str) -> list[Document]:
    """The documents that the kustomization lists."""
    folder = FOLDER / kind
    listed = yaml.safe_load((folder / "kustomization.yaml").read_text())["resources"]
    assert sorted([*listed, "kustomization.yaml"]) == sorted(
        path.name for path in folder.iterdir()
    )
    return [yaml.safe_load((folder / name).read_text()) for name in listed]


def pod(kind: str) -> Document:
    (found,) = (
        document["spec"]["template"]["spec"]
        for document in documents(kind)
        if document["kind"] in ("Deployment", "StatefulSet")
    )
    return found


def containers(kind: str) -> Iterator[Document]:
    for name in ("initContainers", "containers"):
        yield from pod(kind).get(name, ())


@each_kind
def test_a_pod_can_do_no_more_than_it_needs(kind: str) -> None:
    assert pod(kind)["securityContext"]["runAsNonRoot"]
    assert pod(kind)["automountServiceAccountToken"] is False
    for container in containers(kind):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


@each_kind
def test_pods_have_the_user_of_the_image(kind: str) -> None:
    text = (servers.ROOT / "deploy/container/Containerfile").read_text()
    user, group = re.findall(r"^USER (\d+):(\d+)$", text, re.MULTILINE)[0]
    security = pod(kind)["securityContext"]

    assert (str(security["runAsUser"]), str(security["fsGroup"])) == (user, group)


@each_kind
def test_probes_ask_for_paths_of_the_management_listener(kind: str) -> None:
    (container,) = pod(kind)["containers"]
    ports = {port["name"]: port["containerPort"] for port in container["ports"]}
    *_, paths = probes.answer("/", probes.Service())

    for name in ("startupProbe", "livenessProbe", "readinessProbe"):
        asked = container[name]["httpGet"]
        assert ports[asked["port"]] == 9293
        assert f"{asked['path']}," in paths.decode()


@each_kind
def test_the_commands_of_pods_have_options_that_exist(kind: str) -> None:
    for container in containers(kind):
        name, *options = container.get("args", ["serve"])
        parser = load_command_class("images", name).create_parser("", name)
        assert parser.parse_args(options)


def test_the_variables_of_the_cluster_exist_and_its_secrets_are_mounted() -> None:
    (settings,) = (
        it["data"] for it in documents("cluster") if it["kind"] == "ConfigMap"
    )
    known = env.known() | {f"{name}{env.FILE}" for name in env.known()}
    files = [Path(value) for name, value in settings.items() if name.endswith(env.FILE)]

    assert set(settings) <= known
    for container in containers("cluster"):
        mounted = {Path(mount["mountPath"]) for mount in container["volumeMounts"]}
        assert {path.parent for path in files} <= mounted


@pytest.mark.slow
@pytest.mark.xdist_group("deploy")
@each_kind
def test_kustomize_makes_valid_documents(kind: str) -> None:
    kubectl = shutil.which("kubectl")
    if not kubectl:
        pytest.skip("kubectl is not installed")
    made = subprocess.run(
        [kubectl, "kustomize", FOLDER / kind], capture_output=True, text=True
    )
    assert made.returncode == 0, made.stderr
    python = environments.programs("deploy") / "python"
    done = subprocess.run(
        [python, "-c", VALIDATE, *VERSIONS],
        input=made.stdout,
        capture_output=True,
        text=True,
    )

    assert made.stdout.count("kind: ") >= 3
    assert (done.returncode, done.stderr) == (0, "")
