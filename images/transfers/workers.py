"""Names of worker processes, and whether such a process is known to be dead."""

from __future__ import annotations

import os
import socket
from functools import cache
from pathlib import Path

# Index in /proc/PID/stat after the name, which can contain blanks: see proc_pid_stat(5).
START_TIME = 19


def this_worker() -> str:
    """Return a name for this process that is unique across machines and over time."""
    return f"{_machine()}/{os.getpid()}/{_started(os.getpid())}"


def is_dead(worker: str) -> bool:
    """Return whether a worker is certainly dead: it ran on this machine since its boot and has ended.

    The state of processes on other machines is unknown; their leases expire.
    """
    machine, _, process = worker.partition("/")
    pid, _, started = process.partition("/")
    if machine != _machine() or not pid.isdecimal():
        return False
    return _started(int(pid)) != started


@cache
def _machine() -> str:
    # Containers can share a host name and use the same process ids.
    try:
        boot = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
        space = os.stat("/proc/self/ns/pid").st_ino
    except OSError:
        return f"{socket.gethostname()}:unknown"
    return f"{socket.gethostname()}:{boot}:{space}"


def _started(pid: int) -> str:
    """Return a process's start time in ticks since boot; empty if it has ended or is a zombie."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return ""
    return "" if fields[0] in ("Z", "X") else fields[START_TIME]
