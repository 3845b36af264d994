"""The command that runs the whole service: it prepares the database and runs two processes.

The processes are gunicorn with the web workers, and a background worker.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import logging
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
from django.core.management.base import CommandError
from django.db import connection, connections

from imagecatalog.identity import first_user
from images import data_folder, errors, stores
from images.console import CatalogueCommand, positive_integer
from images.management import probes, schema
from images.metadefs import shipped
from images.operations import unconfigured_stores

log = logging.getLogger(__name__)

MIGRATION_LOCK = 0x696D6167  # a number that other programs on the database do not use
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


class Command(CatalogueCommand):
    help = "Serve the catalogue: prepare the database, start the web server and a background worker."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "--bind",
            default="127.0.0.1:9292",
            metavar="HOST:PORT",
            help="address to listen on (default: %(default)s; all networks: 0.0.0.0:9292)",
        )
        parser.add_argument(
            "--management",
            default=settings.IMAGECATALOG_MANAGEMENT_BIND,
            metavar="HOST:PORT",
            help="address for probes and metrics, which need no sign-in: /livez, /readyz, "
            "/status and /metrics (default: IMAGECATALOG_MANAGEMENT_BIND, else none)",
        )
        parser.add_argument(
            "--workers", type=positive_integer, help="number of web processes"
        )
        parser.add_argument(
            "--threads",
            type=positive_integer,
            help="number of requests that each web process handles at once (default: 64); "
            "three quarters of them can send or receive data, for one client and one project "
            "half of these",
        )
        parser.add_argument(
            "--allow-missing-stores",
            action="store_true",
            help="serve although images need stores that are not configured",
        )
        parser.add_argument(
            "--allow-newer-database",
            action="store_true",
            help="serve although a newer release has migrated the database",
        )
        parser.add_argument(
            "--no-migrate",
            action="store_true",
            help="leave the tables to the command migrate, and refuse to serve if they lack "
            "a migration",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            sys.exit(self.serve(options))
        except KeyboardInterrupt:
            sys.exit(130)

    def serve(self, options: dict[str, Any]) -> int:
        """Run the service until it ends; return the exit code."""
        host, port = _address("--bind", options["bind"])
        _refuse_unprotected(host)
        self.check(tags=["interpreter"], include_deployment_checks=True)
        with contextlib.ExitStack() as sockets:
            listener = sockets.enter_context(_listen("--bind", host, port))
            management = None
            if options["management"]:
                address = _address("--management", options["management"])
                management = sockets.enter_context(_listen("--management", *address))
            if options["no_migrate"]:
                schema.refuse_older()
            _refuse_unexpected_catalogue()
            data_folder.prepare()
            with _exclusive():
                if not options["allow_newer_database"]:
                    schema.refuse_newer()
                if not options["no_migrate"]:
                    schema.upgrade()
                password = first_user.ensure()
                shipped.load()
            if not options["allow_missing_stores"]:
                _refuse_missing_stores()
            _close_database()
            self.greet(listener, password)
            self.stdout.flush()
            # From here on the loop in `_supervise` receives all signals.
            signal.pthread_sigmask(signal.SIG_BLOCK, STOP_SIGNALS | {signal.SIGCHLD})
            service = probes.Service()
            if management:
                probes.start(management, service)
            return _supervise(listener, _gunicorn(listener, options), service)

    def greet(self, listener: socket.socket, password: str | None) -> None:
        """Print the URLs of the service, the password of a new user, and an example request."""
        url = _url(listener)
        self.stdout.write(
            f"\nThe image catalogue API is at {url}; the browser admin is at {url}/admin/"
        )
        if password:
            self.stdout.write(
                f"First user: admin, password: {password}  (not shown again)"
            )
        if settings.IMAGECATALOG_AUTH == "none":
            self.stdout.write(
                f"The API needs no sign-in. Try it:\n\n  curl {url}/v2/images\n"
            )
            return
        if settings.IMAGECATALOG_AUTH == "keystone":
            self.stdout.write(
                f"The API accepts tokens of {settings.IMAGECATALOG_KEYSTONE_URL}. Try it:\n\n"
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


# Preparation


def _address(option: str, bind: str) -> tuple[str, int]:
    host, _, port = bind.rpartition(":")
    if not host or not port.isdecimal() or int(port) > 65535:
        raise CommandError(
            f"{bind!r} is not an address for {option}. It must be HOST:PORT, with a port up to "
            "65535. Use the host 0.0.0.0 for all networks."
        )
    return host.strip("[]"), int(port)


def _refuse_unprotected(host: str) -> None:
    if settings.IMAGECATALOG_AUTH != "none" or settings.IMAGECATALOG_AUTH_NONE_REMOTE:
        return
    try:
        local = ipaddress.ip_address(host).is_loopback
    except ValueError:
        local = host == "localhost"
    if not local:
        raise CommandError(
            f"With IMAGECATALOG_AUTH=none every client that can reach {host} would have every "
            "permission. Bind to 127.0.0.1, or set IMAGECATALOG_AUTH_NONE_REMOTE=on to allow "
            "this."
        )


def _refuse_missing_stores() -> None:
    if needed := unconfigured_stores.images_by_store():
        raise CommandError(
            f"Images need stores that are not configured: {unconfigured_stores.summary(needed)}. "
            "Add them to IMAGECATALOG_STORES, or serve without their data: "
            "--allow-missing-stores."
        )


def _refuse_unexpected_catalogue() -> None:
    """Raise CommandError if there is no catalogue, and a new one is probably a mistake.

    It is if IMAGECATALOG_NEW_CATALOGUE is ``off``, or is ``auto`` and a local store has data:
    the folder of the old catalogue is then probably not mounted.
    """
    if not schema.is_new():
        return
    if settings.IMAGECATALOG_NEW_CATALOGUE == "off":
        raise _no_catalogue()
    if settings.IMAGECATALOG_NEW_CATALOGUE == "auto":
        for store in stores.configured():
            if store.type == "file" and _has_data(store):
                raise _no_catalogue(f", but the store {store.id!r} has data")
    log.warning("a new catalogue is made in %s", data_folder.database_name())


def _no_catalogue(found: str = "") -> CommandError:
    return CommandError(
        f"There is no catalogue in {data_folder.database_name()}{found}. Mount its disk, or "
        "correct IMAGECATALOG_DATA_DIR and DATABASE_URL. IMAGECATALOG_NEW_CATALOGUE=on makes "
        "a new catalogue."
    )


def _has_data(store: stores.Store) -> bool:
    with contextlib.suppress(errors.StoreError):  # the system checks have warned of it
        return next(store.keys(), None) is not None
    return False


def _listen(option: str, host: str, port: int) -> socket.socket:
    """Open a listening socket. Raises CommandError if the address cannot be used.

    Call it before any other step of the start: if it fails, nothing has been changed.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=2048)
    except OSError as error:
        raise CommandError(
            f"Cannot listen on {host} port {port}: {error.strerror}. "
            f"Choose another address or port with {option} HOST:PORT."
        ) from error


@contextlib.contextmanager
def _exclusive() -> Iterator[None]:
    """Hold the lock under which one service at a time prepares the database; wait for it."""
    if connection.vendor == "postgresql":
        with connection.cursor() as cursor:
            cursor.execute("SELECT pg_advisory_lock(%s)", [MIGRATION_LOCK])
            try:
                yield
            finally:
                cursor.execute("SELECT pg_advisory_unlock(%s)", [MIGRATION_LOCK])
        return
    path = settings.IMAGECATALOG_DATA_DIR / "migrate.lock"
    with data_folder.explained(path):
        lock = path.open("w")
    with lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _close_database() -> None:
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


def _supervise(
    listener: socket.socket, command: list[str], service: probes.Service
) -> int:
    """Run gunicorn and the background worker until gunicorn ends; return the exit code.

    The worker is restarted whenever it ends, and gunicorn when it is killed: new connections wait
    in the queue of ``listener`` meanwhile. ``service`` tells the probes of it.
    """

    def start_web() -> subprocess.Popen[bytes]:
        return _start(*command, pass_fds=[listener.fileno()])

    web, worker, restart_at, stopping = start_web(), _start_worker(), 0.0, False
    while web.poll() is None or (web.returncode < 0 and not stopping):
        service.web_runs = web.poll() is None
        caught = signal.sigtimedwait(STOP_SIGNALS | {signal.SIGCHLD}, 1)
        if caught and caught.si_signo in STOP_SIGNALS:
            stopping = service.stops = True
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
