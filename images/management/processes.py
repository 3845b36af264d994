"""Child processes of a service, which end when the service ends: gunicorn and workers."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
from contextlib import suppress

from django.conf import settings

# The environment variable with the descriptor of a socket between `serve` and gunicorn. gunicorn
# writes to the socket when it is ready, and then each web process does so every second; `serve`
# closes the socket when the service stops.
SUPERVISOR = "SUPERVISOR_FD"
# Variables with which systemd addresses this process only: its children have other sockets, and must
# not report to systemd.
OF_SYSTEMD = {
    *("LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES"),
    *("NOTIFY_SOCKET", "WATCHDOG_PID", "WATCHDOG_USEC"),
}

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
    """A child process from before a reload, in which `serve` has executed its program again.

    It has those methods and attributes of ``subprocess.Popen`` that `serve` uses.
    """

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None

    def poll(self) -> int | None:
        """Return the exit code, which is negative after a signal; None while the process runs."""
        if self.returncode is None:
            ended, status = os.waitpid(self.pid, os.WNOHANG)
            if ended:
                self.returncode = os.waitstatus_to_exitcode(status)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send a signal to the process, unless it has ended."""
        if self.poll() is None:
            os.kill(self.pid, number)


Process = subprocess.Popen[bytes] | Adopted


def start(*command: str, pass_fds: list[int] | None = None, **env: str) -> Process:
    """Start and return a child process that runs Python and ends when this process ends.

    ``command`` are the arguments for Python. The child gets the environment of this process
    with the variables ``env``, and the file descriptors ``pass_fds``.
    """
    path = [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]
    kept = {key: text for key, text in os.environ.items() if key not in OF_SYSTEMD}
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(os.getpid()), *command],
        env=kept | {"PYTHONPATH": os.pathsep.join(filter(None, path))} | env,
        pass_fds=pass_fds or [],
    )


def start_worker() -> Process:
    """Start a background worker as a child process, and return this process."""
    # The system checks already ran, and printed their warnings, in this process.
    return start("-m", "imagecatalog", "image_worker", "--skip-checks")


def is_running(process: Process) -> bool:
    """Return whether a child process has neither ended nor been suspended, as by SIGSTOP."""
    if process.poll() is not None:
        return False
    changes = os.WEXITED | os.WSTOPPED | os.WNOHANG | os.WNOWAIT
    return os.waitid(os.P_PID, process.pid, changes) is None


class Web:
    """A gunicorn process of the service, and the socket by which `serve` communicates with it.

    ``serves`` says whether gunicorn or one of its web processes has reported.
    """

    def __init__(
        self, process: Process, link: socket.socket, serves: bool = False
    ) -> None:
        self.process = process
        self.link = link
        self.serves = serves
        link.setblocking(False)

    @classmethod
    def start(cls, sockets: list[int], options: list[str]) -> Web:
        """Start and return a gunicorn that accepts connections on these sockets (file descriptors)."""
        command = ["-m", "gunicorn", "-c", "python:imagecatalog.server", *options]
        command += [f"--bind=fd://{number}" for number in sockets]
        ours, theirs = socket.socketpair()
        with theirs:
            theirs.setblocking(False)  # no report waits until it is read
            number = theirs.fileno()
            fds = [*sockets, number]
            process = start(*command, pass_fds=fds, **{SUPERVISOR: str(number)})
        return cls(process, ours)

    def runs(self) -> bool:
        """Return whether the gunicorn process is running."""
        return self.process.poll() is None

    def was_killed(self) -> bool:
        """Return whether a signal has ended the gunicorn process."""
        return (self.process.poll() or 0) < 0

    def reports(self) -> bool:
        """Return whether gunicorn or one of its web processes has reported since the last call."""
        with suppress(OSError):  # nothing was sent, or a stop is announced
            if self.link.recv(1 << 16):
                self.serves = True
                return True
        return False

    def finish(self) -> None:
        """Stop gunicorn when its requests have ended, or after IMAGECATALOG_RELOAD_SECONDS."""
        self.process.send_signal(signal.SIGTERM)

    def announce_stop(self) -> None:
        """Let the health probes of this gunicorn report that the service is being stopped."""
        self.link.close()

    def stop(self, number: int) -> None:
        """Stop gunicorn when its requests have ended, or after IMAGECATALOG_GRACE_SECONDS.

        ``number`` is the signal: SIGTERM, or SIGINT to end without waiting for requests.
        """
        self.link.close()
        self.process.send_signal(number)
        # While gunicorn is starting, SIGTERM is the only signal that it handles.
        self.process.send_signal(signal.SIGTERM)
