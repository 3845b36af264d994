"""Run the whole service: prepare the database, say hello, then keep two processes running.

Those are gunicorn with the web workers, and the background worker. Knows nothing of images.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import os
import shlex
import signal
import socket
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Iterator
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.db import connection, connections

from imagecatalog.identity import first_user
from images.console import count

MIGRATION_LOCK = 0x696D6167  # any number that other programs on the database do not use
STOP_SIGNALS = {signal.SIGTERM, signal.SIGINT}
RESTART_PAUSE = 2.0  # seconds
WORKER_PATIENCE = 10.0  # seconds

# A child asks the kernel for a SIGTERM when this process is gone, however it ends, and then
# becomes the program proper. Ctrl-C reaches it too: until its own handlers are there, silently.
CHILD = """
import ctypes, os, signal, sys
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl: prctl(1, signal.SIGTERM)
signal.signal(signal.SIGINT, signal.SIG_IGN)
signal.pthread_sigmask(signal.SIG_SETMASK, [])
if os.getppid() == int(sys.argv[1]): os.execv(sys.executable, [sys.executable, *sys.argv[2:]])
"""


class Command(BaseCommand):
    help = "Serve the catalogue: prepare the database, start the web server and the worker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--bind",
            default="127.0.0.1:9292",
            metavar="HOST:PORT",
            help="where to listen (default: %(default)s; 0.0.0.0:9292: on all networks)",
        )
        parser.add_argument("--workers", type=count, help="web processes")
        parser.add_argument(
            "--threads",
            type=count,
            help="requests at once in each (default: 32); up to 24 of them may wait for web "
            "servers at which images have their data",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sys.exit(self.serve(options))
        except KeyboardInterrupt:
            sys.exit(130)

    def serve(self, options: dict[str, Any]) -> int:
        host, port = _address(options["bind"])
        _refuse_open_door(host)
        with _listen(host, port) as listener:
            with _alone():
                call_command("migrate", interactive=False, verbosity=0)
                password = first_user.ensure()
            _leave_database()
            self.greet(listener, password)
            self.stdout.flush()
            # From here on signals are looked at where the loop waits for them.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS | {signal.SIGCHLD})
            web = _start(*_gunicorn(listener, options), pass_fds=[listener.fileno()])
        return _supervise(web)

    def greet(self, listener: socket.socket, password: str | None) -> None:
        url = _url(listener)
        self.stdout.write(
            f"\nThe image catalogue answers at {url}, people see it at {url}/admin/"
        )
        if password:
            self.stdout.write(
                f"First user: admin, password: {password}  (not shown again)"
            )
        if settings.IMAGECATALOG_AUTH == "none":
            self.stdout.write(
                f"Nobody has to sign in to the API. Try it:\n\n  curl {url}/v2/images\n"
            )
            return
        if settings.IMAGECATALOG_AUTH == "keystone":
            self.stdout.write(
                f"Tokens are those of {settings.IMAGECATALOG_KEYSTONE_URL}. Try it:\n\n"
                f"  OS_IMAGE_ENDPOINT_OVERRIDE={url} openstack image list\n"
            )
            return
        shown = shlex.quote(password) if password else "PASSWORD"
        self.stdout.write(
            "Try it:\n\n"
            f"  OS_AUTH_TYPE=http_basic OS_USERNAME=admin OS_PASSWORD={shown} \\\n"
            f"    OS_ENDPOINT={url}/v2 openstack image list\n"
            f"  curl -u admin:{shown} {url}/v2/images\n"
        )


# Before


def _address(bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise CommandError(
            f"--bind is {bind!r}; it must be HOST:PORT, with a port up to 65535. "
            "0.0.0.0 is the host for all networks."
        )
    return host.strip("[]"), int(port)


def _refuse_open_door(host: str) -> None:
    if settings.IMAGECATALOG_AUTH != "none" or settings.IMAGECATALOG_AUTH_NONE_REMOTE:
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise CommandError(
            f"With IMAGECATALOG_AUTH=none everyone who reaches {host} could do everything. "
            "Bind to 127.0.0.1, or set IMAGECATALOG_AUTH_NONE_REMOTE=on if that is meant."
        )


def _listen(host: str, port: int) -> socket.socket:
    """The socket that gunicorn will serve, opened first: nothing else is done in vain."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host} port {port}: {error.strerror}. "
            "Choose another address or port with --bind HOST:PORT."
        ) from error


@contextlib.contextmanager
def _alone() -> Iterator[None]:
    """Of several services that start at once on one database, one after the other."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        return
    settings.IMAGECATALOG_DATA_DIR.mkdir(parents=True, exist_ok=True)
    with (settings.IMAGECATALOG_DATA_DIR / "migrate.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _leave_database() -> None:
    connections.close_all()
    if hasattr(connection, "close_pool"):
        connection.close_pool()


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    if ipaddress.ip_address(host).is_unspecified:
        host = "localhost"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


# Processes


def _gunicorn(listener: socket.socket, options: dict[str, Any]) -> list[str]:
    command = ["-m", "gunicorn", "-c", "python:imagecatalog.server"]
    command += ["--bind", f"fd://{listener.fileno()}"]
    for name in ("workers", "threads"):
        if options[name]:
            command += [f"--{name}", str(options[name])]
    return command


def _start(*command: str, pass_fds: list[int] | None = None) -> subprocess.Popen[bytes]:
    """A Python process in the same folder and environment, which ends when this one does."""
    path = [str(settings.BASE_DIR), os.environ.get("PYTHONPATH", "")]
    return subprocess.Popen(
        [sys.executable, "-c", CHILD, str(os.getpid()), *command],
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, path))},
        pass_fds=pass_fds or [],
    )


def _start_worker() -> subprocess.Popen[bytes]:
    # What the checks warn of was said when this process began.
    manage = str(settings.BASE_DIR / "manage.py")
    return _start(manage, "image_worker", "--skip-checks")


def _supervise(web: subprocess.Popen[bytes]) -> int:
    """Until gunicorn ends; its exit code."""
    worker, restart_at, stopping = _start_worker(), 0.0, False
    while web.poll() is None:
        caught = signal.sigtimedwait(STOP_SIGNALS | {signal.SIGCHLD}, 1)
        if caught and caught.si_signo in STOP_SIGNALS:
            stopping = True
            _forward(caught.si_signo, web, worker)
        elif worker.poll() is not None and not stopping:
            restart_at = restart_at or time.monotonic() + RESTART_PAUSE
            if time.monotonic() >= restart_at:
                worker, restart_at = _start_worker(), 0.0
    _end(worker)
    return 0 if stopping and web.returncode < 0 else abs(web.returncode)


def _end(worker: subprocess.Popen[bytes]) -> None:
    """It stops between two steps; one that hangs in a store is not waited for."""
    worker.terminate()
    try:
        worker.wait(WORKER_PATIENCE)
    except subprocess.TimeoutExpired:
        worker.kill()
        worker.wait()


def _forward(
    number: int, web: subprocess.Popen[bytes], worker: subprocess.Popen[bytes]
) -> None:
    """SIGTERM lets running requests finish; Ctrl-C does not wait for them."""
    worker.terminate()
    web.send_signal(number)
    web.terminate()  # while gunicorn is still starting it hears of nothing else
