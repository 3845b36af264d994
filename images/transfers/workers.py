"""Which process works on something, and whether it is known to be dead."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

# Fields of /proc/PID/stat behind the name, which may hold blanks: see proc_pid_stat(5).
START_TIME = 19


def this_worker() -> str:
    """A name for this process that no other process has, on any machine, before or after."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid())}"


def is_dead(worker: str) -> bool:
    """True when it certainly is: it was on this machine, since its boot, and is gone.

    Of processes elsewhere nothing is known; their leases run out.
    """
    machine, _, process = worker.partition("/")
    pid, _, started = process.partition("/")
    if machine != _machine() or not pid.isdecimal():
        return False
    return _started(int(pid)) != started


@cache
def _machine() -> str:
    # Containers may share a name and count their processes alike.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return f"{socket.gethostname()}:unknown"
    return f"{socket.gethostname()}:{boot}:{space}"


def _started(pid: int) -> str:
    """In ticks since boot; empty when there is no such process, or only its remains."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[START_TIME]
