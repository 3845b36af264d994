"""HAProxy with the configurations of deploy/haproxy, on ports of this machine."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from tests import servers

Process = subprocess.Popen[bytes]
CONFIGURATIONS = servers.ROOT / "deploy" / "haproxy"


@contextmanager
def before_services(folder: Path, urls: Sequence[str]) -> Iterator[tuple[str, Process]]:
    """The load balancer of services with these URLs; yields its own, and its process."""
    address = f"127.0.0.1:{servers.free_port()}"
    here = {"bind :443 ssl crt /etc/haproxy/catalogue.pem": f"bind {address}"}
    machines = [urlsplit(url).netloc for url in urls]
    url = f"http://{address}"
    with _running(folder, "haproxy.cfg", here, machines) as process:
        # At first, HAProxy takes all machines for ready.
        servers.wait_until(lambda: servers.status(f"{url}/readyz") == 200, "readiness")
        yield url, process


@contextmanager
def before_databases(
    folder: Path, addresses: Sequence[tuple[int, int]]
) -> Iterator[int]:
    """The way to the primary of databases with these ports, of PostgreSQL and Patroni; yields its port."""
    port = servers.free_port()
    here = {
        "bind 127.0.0.1:5432": f"bind 127.0.0.1:{port}",
        "check port 8008": "check",
    }
    machines = [f"127.0.0.1:{one} port {patroni}" for one, patroni in addresses]
    with _running(folder, "postgresql.cfg", here, machines):
        time.sleep(2)  # at first, HAProxy takes all of them for the primary
        yield port


@contextmanager
def _running(
    folder: Path, name: str, here: dict[str, str], machines: Sequence[str]
) -> Iterator[Process]:
    program = shutil.which("haproxy", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise servers.Missing("haproxy is not installed")
    config = folder / name
    config.write_text(_here((CONFIGURATIONS / name).read_text(), here, machines))
    log = folder / f"{name}.log"
    with servers.running([program, "-db", "-f", config], os.environ, log) as process:
        yield process


def _here(config: str, here: dict[str, str], machines: Sequence[str]) -> str:
    """The shipped configuration with addresses of this machine."""
    for shipped, ours in here.items():
        assert config.count(shipped) == 1, shipped
        config = config.replace(shipped, ours)
    shipped_servers = re.compile(r"^    server .*\n", re.M)
    assert len(shipped_servers.findall(config)) > 1
    ours = "".join(
        f"    server machine-{number} {machine}\n"
        for number, machine in enumerate(machines)
    )
    return shipped_servers.sub("", config).rstrip("\n") + f"\n{ours}"
