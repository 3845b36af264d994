"""What a service leaves to itself when it executes its program again: sockets and children."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field

from images.management.processes import Adopted, Process, Web

VARIABLE = "SERVE_HANDOVER"  # of the environment


@dataclass
class Handover:
    """The open sockets by their addresses, and the numbers of the children.

    A gunicorn has its process id and the descriptor of the socket to it.
    """

    sockets: dict[str, int] = field(default_factory=dict)
    web: list[tuple[int, int]] = field(default_factory=list)  # the newest last
    workers: list[int] = field(default_factory=list)

    def adopted_web(self) -> list[Web]:
        """Return the gunicorns, the newest last."""
        return [Web(Adopted(pid), socket.socket(fileno=fd)) for pid, fd in self.web]

    def adopted_workers(self) -> list[Process]:
        """Return the background workers."""
        return [Adopted(pid) for pid in self.workers]


def take() -> Handover | None:
    """Return what the same process has left when it executed its program; None at a start."""
    text = os.environ.pop(VARIABLE, None)
    return Handover(**json.loads(text)) if text else None


def execute(handover: Handover) -> None:
    """Execute the program again, with the code of now. Raises OSError if that fails."""
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
