"""Child processes of a service, which end when it ends, and the gunicorn among them."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from django.conf import settings

# The environment variable with the descriptor of a socket, by which gunicorn tells that it
# serves, and which ends when the service stops.
SUPERVISOR = "SUPERVISOR_FD"

# A child asks the kernel for a SIGTERM when this process ends for any reason, and then executes
# its program. Ctrl-C reaches the child too, which ignores it until the program sets its handlers.
CHILD = """
import ctypes, os, signal, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl: prctl(1, signal.SIGTERM)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
if os.getppid() == int(sys.argv[1]): os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Adopted:
    """A child that was started before this process executed its program again."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, negative for a signal; None while the process runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal, unless the process has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


Process = subprocess.Popen[bytes] | Adopted


def start(*command: str, pass_fds: list[int] | None = None, **env: str) -> Process:
    """Start a Python process that ends when this one ends, in the same folder and environment."""
    path = [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]
    of_systemd = "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"
    kept = {key: text for key, text in os.environ.items() if key not in of_systemd}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(os.getpid()), *command],
        env=kept | {"PYTHONPATH": os.pathsep.join(filter(None, path))} | env,
        pass_fds=pass_fds or [],
    )


def start_worker() -> Process:
    """Start a background worker."""
    # The system checks already ran, and printed their warnings, in this process.
    return start("-m", "imagecatalog", "image_worker", "--skip-checks")


class Web:
    """A gunicorn with its web processes, and our end of the socket to it."""

    def __init__(self, process: Process, link: socket.socket) -> None:
        self.process = process
        self.link = link
        link.setblocking(False)

    @classmethod
    def start(cls, sockets: list[int], options: list[str]) -> Web:
        """Start a gunicorn that accepts connections from these listening sockets."""
        command = ["-m", "gunicorn", "-c", "python:imagecatalog.server", *options]
        command += [f"--bind=fd://{number}" for number in sockets]
        ours, theirs = socket.socketpair()
        with theirs:
            number = theirs.fileno()
            fds = [*sockets, number]
            process = start(*command, pass_fds=fds, **{SUPERVISOR: str(number)})
        return cls(process, ours)

    def runs(self) -> bool:
        """Return whether gunicorn runs."""
        return self.process.poll() is None

    def was_killed(self) -> bool:
        """Return whether a signal has ended gunicorn."""
        return (self.process.poll() or 0) < 0

    def begins_to_serve(self) -> bool:
        """Return whether gunicorn has told that it serves, since the last call."""
        with suppress(OSError):  # nothing was sent, or a stop is announced
            return bool(self.link.recv(1))
        return False

    def finish(self) -> None:
        """Let gunicorn end after its requests, which get IMAGECATALOG_RELOAD_SECONDS."""
        self.process.send_signal(signal.SIGTERM)

    def announce_stop(self) -> None:
        """Let gunicorn's probes tell that the service is being stopped."""
        self.link.close()

    def stop(self, number: int) -> None:
        """Let gunicorn end with the service: its requests get IMAGECATALOG_GRACE_SECONDS.

        ``number`` is the signal for gunicorn: SIGTERM, or SIGINT to end without the requests.
        """
        self.link.close()
        self.process.send_signal(number)
        # The only signal that gunicorn handles while it is starting.
        self.process.send_signal(signal.SIGTERM)
