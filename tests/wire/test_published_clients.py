"""Clients that know no Image API fetch images from the published tree.

`make interop` runs the same scripts, and lets the clients fetch while versions are promoted.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.interop.__main__ import CLIENTS as SCRIPTS
from tests.published_tree import FAMILIES, LABELS, TreeService, tree_service
from tests.servers import Missing

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("published")]


CLIENTS = ("downloads", "incus", "simplestreams", "virt_builder")


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TreeService]:
    with tree_service(tmp_path_factory.mktemp("published")) as tree:
        yield tree


@pytest.mark.parametrize("client", CLIENTS)
def test_a_client_fetches_the_images_that_were_uploaded(
    client: str, tree: TreeService, tmp_path: Path
) -> None:
    run(client, tree, tmp_path)


@pytest.mark.long
def test_clients_that_sign_in_fetch_the_images_that_were_uploaded(
    tmp_path: Path,
) -> None:
    (tmp_path / "service").mkdir()
    with tree_service(tmp_path / "service", "signed-in") as tree:
        for client in CLIENTS:
            (tmp_path / client).mkdir()
            run(client, tree, tmp_path / client)


def run(client: str, tree: TreeService, folder: Path) -> None:
    """Run the script of a client, in a folder of its own."""
    ended = subprocess.run(
        [sys.executable, SCRIPTS / f"with_{client}.py"],
        env=environ_of(tree, folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert ended.returncode == 0, ended.stdout


def environ_of(tree: TreeService, folder: Path) -> dict[str, str]:
    """The environment of a client; the test is skipped where there are no clients."""
    try:
        return tree.environ(folder)
    except Missing as missing:
        pytest.skip(str(missing))


def test_incus_finds_no_fault_in_a_static_copy(
    tree: TreeService, tmp_path: Path
) -> None:
    copy = tmp_path / "copy"
    tree.service.manage("publish_export", str(copy), "--url", "https://mirror.example")
    environ = environ_of(tree, tmp_path)

    def verify() -> tuple[int, bytes, bytes]:
        command = ["incus-simplestreams", "verify"]
        ended = subprocess.run(command, cwd=copy, env=environ, capture_output=True)
        return ended.returncode, ended.stdout, ended.stderr

    assert verify() == (0, b"", b"")

    # It would find none without an index, either.
    disk = next((copy / "images" / FAMILIES[0] / LABELS[0]).glob("*.qcow2"))
    disk.write_bytes(disk.read_bytes() + b"changed")
    assert verify()[0] != 0
