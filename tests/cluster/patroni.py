"""PostgreSQL on several nodes of this machine, which Patroni fails over: deploy/patroni/patroni.yml."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import yaml

from tests import servers

CONFIGURATION = servers.ROOT / "deploy" / "patroni" / "patroni.yml"
PASSWORD = "CHANGE-ME"
NAMES = ("one", "two", "three")


@dataclass
class Node:
    """A PostgreSQL with its Patroni."""

    name: str
    folder: Path
    port: int = field(default_factory=servers.free_port)
    api_port: int = field(default_factory=servers.free_port)
    stack: ExitStack = field(default_factory=ExitStack)

    def is_primary(self) -> bool:
        """Whether the health check that HAProxy uses says so."""
        url = f"http://127.0.0.1:{self.api_port}/primary"
        return servers.status(url, 0.5) == 200

    def cluster(self) -> list[dict[str, Any]]:
        """The nodes as this one sees them; empty while it does not answer."""
        url = f"http://127.0.0.1:{self.api_port}/cluster"
        with (
            suppress(OSError, ValueError),
            urllib.request.urlopen(url, timeout=2) as answer,
        ):
            return list(json.load(answer)["members"])
        return []

    def processes(self) -> list[psutil.Process]:
        """Patroni, and all of PostgreSQL, which has a session of its own."""
        found = []
        for process in psutil.process_iter(["cmdline"]):
            words = process.info["cmdline"] or []
            if str(self.folder / "patroni.yml") in words or str(self._data) in words:
                found += [process, *_children(process)]
        return found

    def send(self, number: signal.Signals) -> None:
        """Send a signal to all of them: SIGKILL is what the power switch would do.

        Twice, because PostgreSQL may start a process between the look at it and its signal.
        """
        for _ in range(2):
            for process in self.processes():
                with suppress(psutil.NoSuchProcess):
                    process.send_signal(number)

    @property
    def _data(self) -> Path:
        return self.folder / "data"


def _children(process: psutil.Process) -> list[psutil.Process]:
    with suppress(psutil.NoSuchProcess):
        return process.children(recursive=True)
    return []


class Cluster:
    """Nodes that have one primary among them, and the etcd by which they agree."""

    def __init__(self, folder: Path, user: int, stack: ExitStack) -> None:
        self.folder, self._user, self._stack = folder, user, stack
        self._etcd_port = self._start_etcd()
        self.nodes = [Node(name, folder / name) for name in NAMES]
        for node in self.nodes:
            node.folder.mkdir()
            os.chown(node.folder, user, user)
            self.start(node)
            if node is self.nodes[0]:
                servers.wait_until(node.is_primary, "the first primary", 60)
        servers.wait_until(self.is_whole, "the standbys", 60)

    def _start_etcd(self) -> int:
        port, peers = servers.free_port(), servers.free_port()
        client, peer = f"http://127.0.0.1:{port}", f"http://127.0.0.1:{peers}"
        command = [_program("etcd"), "--data-dir", self.folder / "etcd"]
        command += ["--listen-client-urls", client, "--advertise-client-urls", client]
        command += ["--listen-peer-urls", peer, "--initial-advertise-peer-urls", peer]
        command += ["--initial-cluster", f"default={peer}"]
        log = self.folder / "etcd.log"
        process = self._stack.enter_context(
            servers.running(command, os.environ, log, user=self._user)
        )
        url = f"{client}/health"
        servers.wait_until(lambda: servers.status(url) == 200, "etcd", 30, process, log)
        return port

    def start(self, node: Node) -> None:
        """Start a node, also again after it was killed."""
        config = node.folder / "patroni.yml"
        config.write_text(yaml.safe_dump(self._config(node)))
        # PostgreSQL survives a Patroni that is killed, but not one that is ended.
        node.stack.enter_context(
            servers.running(
                [_program("patroni"), config],
                {"PATH": "/usr/bin:/bin", "HOME": str(node.folder), "LANG": "C.UTF-8"},
                self.folder / f"{node.name}.log",
                user=self._user,
                seconds=60,
            )
        )

    def _config(self, node: Node) -> dict[str, Any]:
        """The shipped configuration with addresses and folders of this machine."""
        config: dict[str, Any] = yaml.safe_load(CONFIGURATION.read_text())
        api, database = f"127.0.0.1:{node.api_port}", f"127.0.0.1:{node.port}"
        config["name"] = node.name
        config["etcd3"]["hosts"] = f"127.0.0.1:{self._etcd_port}"
        config["restapi"] = {"listen": api, "connect_address": api}
        postgresql = config["postgresql"]
        postgresql |= {
            "listen": database,
            "connect_address": database,
            "data_dir": str(node.folder / "data"),
            "bin_dir": str(servers.postgres_programs()),
            "pgpass": str(node.folder / "pgpass"),
            "parameters": {"unix_socket_directories": str(node.folder)},
            "pg_hba": [
                line.replace("192.0.2.0/24", "127.0.0.1/32")
                for line in postgresql["pg_hba"]
            ],
        }
        return config

    @property
    def primary(self) -> Node | None:
        """The node that takes changes; None while there is none."""
        return next((node for node in self.nodes if node.is_primary()), None)

    @property
    def hosts(self) -> str:
        """All nodes, as a URL of a database names them."""
        return ",".join(f"127.0.0.1:{node.port}" for node in self.nodes)

    def is_whole(self) -> bool:
        """Whether all other nodes follow the primary, one of them synchronously.

        That one is known to Patroni too: until then, it could promote another one.
        """
        primaries = [node for node in self.nodes if node.is_primary()]
        # A former one that hung takes itself for the primary at first.
        members = primaries[0].cluster() if len(primaries) == 1 else []
        following = [it for it in members if it["state"] in ("running", "streaming")]
        roles = sorted(it["role"] for it in following)
        return roles == ["leader", "replica", "sync_standby"]

    def revive(self, node: Node) -> None:
        """Start a killed node again, and wait until it follows the primary."""
        with suppress(AssertionError):
            node.stack.close()
        self.start(node)
        servers.wait_until(self.is_whole, "the revived node", 120)

    def switch_over(self) -> None:
        """Let another node become the primary, as an operator does for maintenance."""
        primary = self.primary
        assert primary
        command = [_program("patronictl"), "-c", str(primary.folder / "patroni.yml")]
        command += ["switchover", "--force", "--master", primary.name, "catalogue"]
        env = {"PATH": "/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": str(primary.folder)}
        done = subprocess.run(command, env=env, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr

    def close(self) -> None:
        for node in self.nodes:
            with suppress(AssertionError):
                node.stack.close()
            node.send(signal.SIGKILL)


def _program(name: str) -> str:
    path = shutil.which(name)
    if path is None:
        raise servers.Missing(f"{name} is not installed")
    return path


@contextmanager
def cluster() -> Iterator[Cluster]:
    """Three nodes on which the database ``postgres`` is empty."""
    with tempfile.TemporaryDirectory(prefix="patroni-") as name, ExitStack() as stack:
        folder = Path(name)
        user = os.geteuid() or servers.NOBODY
        os.chown(folder, user, user)
        found = Cluster(folder, user, stack)
        stack.callback(found.close)
        yield found
