"""The processes of a service: gunicorn with the web workers, and a background worker."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import time

from django.conf import settings

from images.management import probes
from images.management.listeners import Listener

log = logging.getLogger(__name__)

STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
RESTART_PAUSE = 2.0  # seconds
WORKER_PATIENCE = 10.0  # seconds

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


def block_signals() -> None:
    """Let all signals wait until ``supervise`` receives them."""
    signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS | {signal.SIGCHLD})


def supervise(
    listeners: list[Listener], web_options: list[str], service: probes.Service
) -> int:
    """Run gunicorn and the background worker until gunicorn ends; return the exit code.

    The worker is restarted whenever it ends, and gunicorn when it is killed: new connections wait
    in the queues of ``listeners`` meanwhile. ``service`` tells the probes of it.
    """
    sockets = [listener.socket.fileno() for listener in listeners]
    command = ["-m", "gunicorn", "-c", "python:imagecatalog.server", *web_options]
    for number in sockets:
        command += ["--bind", f"fd://{number}"]

    def start_web() -> subprocess.Popen[bytes]:
        return _start(*command, pass_fds=sockets)

    web, worker, restart_at, stopping = start_web(), _start_worker(), 0.0, False
    while web.poll() is None or (web.returncode < 0 and not stopping):
        service.web_runs = web.poll() is None
        caught = signal.sigtimedwait(STOP_SIGNALS | {signal.SIGCHLD}, 1)
        if caught and caught.si_signo in STOP_SIGNALS:
            stopping = service.stops = True
            for listener in listeners:
                listener.close()  # else new clients would wait in its queue
            _forward(caught.si_signo, web, worker)
        elif not stopping and (_has_ended(web) or _has_ended(worker)):
            restart_at = restart_at or time.monotonic() + RESTART_PAUSE
            if time.monotonic() >= restart_at:
                web = start_web() if _was_killed(web) else web
                worker = _start_worker() if _has_ended(worker) else worker
                restart_at = 0.0
    _end(worker)
    return 0 if stopping and web.returncode < 0 else abs(web.returncode)


def _start(*command: str, pass_fds: list[int] | None = None) -> subprocess.Popen[bytes]:
    """Start a Python process that ends when this one ends, in the same folder and environment."""
    path = [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(os.getpid()), *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        pass_fds=pass_fds or [],
    )


def _start_worker() -> subprocess.Popen[bytes]:
    # The system checks already ran, and printed their warnings, in this process.
    return _start("-m", "imagecatalog", "image_worker", "--skip-checks")


def _has_ended(process: subprocess.Popen[bytes]) -> bool:
    return process.poll() is not None


def _was_killed(web: subprocess.Popen[bytes]) -> bool:
    if not _has_ended(web) or web.returncode >= 0:
        return False
    log.warning("gunicorn was killed by signal %s; it is restarted", -web.returncode)
    return True


def _end(worker: subprocess.Popen[bytes]) -> None:
    """Stop the background worker, or kill it after WORKER_PATIENCE seconds.

    The worker stops between two steps, and a step that waits for a store can hang.
    """
    worker.terminate()
    try:
        worker.wait(WORKER_PATIENCE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _forward(
    number: int, web: subprocess.Popen[bytes], worker: subprocess.Popen[bytes]
) -> None:
    """Forward a stop signal: SIGTERM lets running requests finish, SIGINT does not."""
    worker.terminate()
    web.send_signal(number)
    web.terminate()  # the only signal that gunicorn handles while it is starting
