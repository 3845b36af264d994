"""The services of several machines, on one database and one folder, behind HAProxy."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import replace
from pathlib import Path

from tests import servers
from tests.cluster import haproxy
from tests.servers import Service

SECRET = {"IMAGECATALOG_SECRET_KEY": "the same on all machines, and long enough"}
COUNT = 2


class Machines:
    """Services that can be killed and started again; ``front`` is reached through HAProxy."""

    def __init__(self, folder: Path, env: Mapping[str, str], stack: ExitStack) -> None:
        self.folder = folder
        self._env = env
        self._stacks = [ExitStack() for _ in range(COUNT)]
        for one in self._stacks:
            stack.enter_context(one)
        self._ports = [servers.free_port() for _ in range(COUNT)]
        self.services = [self._start(index) for index in range(COUNT)]
        urls = [service.url for service in self.services]
        balanced = haproxy.before_services(folder, urls)
        url, self.proxy = stack.enter_context(balanced)
        self.front = replace(self.services[0], url=url)

    def _start(self, index: int) -> Service:
        folder = self.folder / f"machine-{index}"
        folder.mkdir(exist_ok=True)
        started = servers.catalogue(folder, self._env, port=self._ports[index])
        return self._stacks[index].enter_context(started)

    def kill(self, index: int) -> None:
        """Kill all processes of one machine, as its power switch would."""
        self.services[index].kill()

    def revive(self, index: int) -> None:
        """Start the service of a killed machine again."""
        with suppress(AssertionError):
            self._stacks[index].close()
        self.services[index] = self._start(index)

    def tracebacks(self) -> int:
        """How many the services have logged."""
        logs = [service.log.read_text() for service in self.services]
        return sum(log.count("Traceback") for log in logs)


@contextmanager
def machines(
    folder: Path, database: str, env: Mapping[str, str] | None = None
) -> Iterator[Machines]:
    """Two services with two web processes and a background worker each.

    ``database`` is a URL; the stores are folders that both see.
    """
    shared = {
        "DATABASE_URL": database,
        "IMAGECATALOG_STORES": f"local=file://{folder}/stores/local",
        "IMAGECATALOG_TRUSTED_PROXIES": "127.0.0.1",
        # Clients change the same few images and families all the time.
        "IMAGECATALOG_IMAGE_CHANGE_RATE": "0",
    }
    with ExitStack() as stack:
        yield Machines(folder, shared | SECRET | dict(env or {}), stack)
