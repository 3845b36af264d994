"""``python -m tests.interop``: let real clients use our service.

Each client that is not a package of the tests is installed into an environment of its own below
var/environments. It runs one script of tests/interop/clients, which reports what has succeeded.
Clients of the published tree, which know no Image API, have a service of their own over TLS.
Horizon is driven in a browser, in front of a service of its own behind a real Keystone.
Exit code 1 when a script fails. It needs Debian, qemu-img, Chromium, GnuPG, curl and wget;
gophercloud comes from Debian's packages golang-go and golang-github-gophercloud-gophercloud-dev.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from tests import environments, servers
from tests.published_tree import TreeService, tree_service
from tests.servers import Service
from tests.web import allow, serving_folder

CLIENTS = Path(__file__).parent / "clients"
# They fetch images from the published tree, and run in the environment of the tests.
TREE = ("incus", "simplestreams", "virt_builder", "downloads", "promotions")
# Those of INTEROP have an environment of their own; the others use that of the tests.
NAMES = (
    "openstack",
    "glance",
    "openstacksdk",
    "gophercloud",
    *environments.INTEROP,
    "horizon",
    *TREE,
)


def main() -> int:
    parser = argparse.ArgumentParser(prog="interop", description=__doc__)
    parser.add_argument("--only", action="append", choices=NAMES, help="a client")
    chosen = parser.parse_args().only or list(NAMES)
    with tempfile.TemporaryDirectory(prefix="interop-") as name, ExitStack() as stack:
        folder = Path(name)
        rig = Rig(*stack.enter_context(_service(folder)))
        if {*TREE, "ironic"} & {*chosen}:
            (folder / "tree").mkdir()
            rig.tree = stack.enter_context(tree_service(folder / "tree"))
        failed = [client for client in chosen if not succeeds(client, rig)]
    print(f"{len(chosen) - len(failed)} of {len(chosen)} clients succeeded")
    return int(bool(failed))


@dataclass
class Rig:
    """What the clients use."""

    service: Service
    env: dict[str, str]  # what the scripts find in the environment
    tree: TreeService | None = None

    def environ(self, folder: Path) -> dict[str, str]:
        """The environment of a client with this folder."""
        return (
            environments.environ(**_signing_in(self.service))
            | (self.tree.environ(folder) if self.tree else {})
            | self.env
            | {"INTEROP_FOLDER": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        )


@contextmanager
def _service(folder: Path) -> Iterator[tuple[Service, dict[str, str]]]:
    """Our service with two stores and a cache, and what the scripts find in the environment."""
    web = folder / "web"
    web.mkdir()
    disk = folder / "disk.raw"
    disk.write_bytes(os.urandom(1 << 20))
    make = ["qemu-img", "create", "-q", "-f", "qcow2", web / "disk.qcow2", "4M"]
    subprocess.run(make, check=True)
    with serving_folder(web) as url:
        stores = (
            f"fast=file://{folder}/fast?weight=20&cache=on,"
            f"cold=file://{folder}/cold?weight=10"
        )
        settings = {
            "IMAGECATALOG_STORES": stores,
            "IMAGECATALOG_CACHE_DIR": str(folder / "cache"),
            "IMAGECATALOG_USER_STORAGE_QUOTA": "10GB",
        }
        with servers.catalogue(folder, settings | allow(url)) as service:
            yield (
                service,
                {
                    "INTEROP_DISK": str(disk),
                    "INTEROP_WEB": f"{url}/disk.qcow2",
                },
            )


def succeeds(client: str, rig: Rig) -> bool:
    """Let a client use the service, and print the steps that have succeeded, and the time.

    If the client's script fails, all that it has printed comes first.
    """
    begin = time.monotonic()
    with tempfile.TemporaryDirectory(prefix=f"{client}-") as folder:
        done = subprocess.run(
            _script(client),
            env=rig.environ(Path(folder)),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
    seconds = time.monotonic() - begin
    if done.returncode:
        print(done.stdout)
    words = (line.partition("done: ") for line in done.stdout.splitlines())
    lines = [f"ok      {step}" for start, found, step in words if found and not start]
    lines.append(f"{'FAILED' if done.returncode else 'done'} in {seconds:.0f} s")
    for number, line in enumerate(lines):
        print(f"{'' if number else client:14} {line}", flush=True)
    return not done.returncode


def _script(client: str) -> list[str | Path]:
    """The command that lets a client use the service."""
    if client == "horizon":
        return [sys.executable, "-m", "tests.interop.horizon"]
    own = client in environments.INTEROP
    python = environments.programs(client) / "python" if own else Path(sys.executable)
    return [python, CLIENTS / f"with_{client}.py"]


def _signing_in(service: Service) -> dict[str, str]:
    return {
        "OS_AUTH_URL": f"{service.url}/identity/v3",
        "OS_USERNAME": service.username,
        "OS_PASSWORD": service.password,
        "OS_PROJECT_NAME": "admin",
        "OS_USER_DOMAIN_NAME": "Default",
        "OS_PROJECT_DOMAIN_NAME": "Default",
        "OS_IDENTITY_API_VERSION": "3",
        "OS_REGION_NAME": "RegionOne",
    }


if __name__ == "__main__":
    sys.exit(main())
