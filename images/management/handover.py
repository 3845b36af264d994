"""Sockets and child processes that `serve` keeps when a reload executes its program again.

The process stays the same: the numbers of its sockets and children are passed on in an
environment variable.
"""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from images.management.processes import Adopted, Process, Web

VARIABLE = "SERVE_HANDOVER"  # an environment variable


@dataclass
class Handover:
    """The open sockets and the child processes of `serve`, as file descriptors and process ids.

    ``sockets`` has the file descriptor for each address. ``web`` has, for each gunicorn, its
    process id and the descriptor of the socket to it. ``workers`` has the process ids of
    background workers.
    """

    sockets: dict[str, int] = field(default_factory=dict)
    web: list[tuple[int, int]] = field(default_factory=list)  # the newest last
    workers: list[int] = field(default_factory=list)

    def adopted_web(self) -> list[Web]:
        """Return the gunicorn processes from before the reload, the newest last."""
        return [
            Web(Adopted(pid), socket.socket(fileno=fd), serves=True)
            for pid, fd in self.web
        ]

    def adopted_workers(self) -> list[Process]:
        """Return the processes of the background workers from before the reload."""
        return [Adopted(pid) for pid in self.workers]


def take() -> Handover | None:
    """Return the sockets and child processes from before a reload; None if there was no reload."""
    text = os.environ.pop(VARIABLE, None)
    return Handover(**json.loads(text)) if text else None


def execute(handover: Handover) -> None:
    """Execute this process's program again, with its present code; keep sockets and children.

    Does not return. Raises OSError if the program cannot be executed.
    """
    descriptors = [*handover.sockets.values(), *(fd for _, fd in handover.web)]
    _let_inherit(descriptors, True)
    os.environ[VARIABLE] = json.dumps(asdict(handover))
    sys.stdout.flush()
    try:
        os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    finally:  # it failed
        del os.environ[VARIABLE]
        _let_inherit(descriptors, False)


def _let_inherit(descriptors: Iterable[int], inherit: bool) -> None:
    for descriptor in descriptors:
        os.set_inheritable(descriptor, inherit)
