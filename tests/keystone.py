"""A real Keystone on loopback, with a service user for us and our entry in its catalogue."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from tests import environments, servers

REGION = "RegionOne"
SECOND = "image_remote"  # type of the second endpoint in the catalogue
SERVICE_USER = "imagecatalog"
CONFIGURATION = """
[DEFAULT]
log_file = {folder}/keystone.log
[database]
connection = {database}
[fernet_tokens]
key_repository = {folder}/fernet
[identity]
# Hundreds of users are made: their passwords need not withstand guesses.
password_hash_rounds = 4
[credential]
key_repository = {folder}/credentials
"""
# Keystone reads its options from sys.argv, in which it must not find the server's. The suite
# takes a limit for valid when Keystone has answered; our service reads limits every second.
APPLICATION = """
import sys, time
sys.argv = sys.argv[:1]
from keystone.server.wsgi import initialize_public_application
keystone = initialize_public_application()

def application(environ, start_response):
    answer = keystone(environ, start_response)
    changes = environ["REQUEST_METHOD"] in ("POST", "PATCH")
    if changes and environ["PATH_INFO"].startswith("/v3/limits"):
        time.sleep(5)
    return answer
"""
LIMITS = (
    "image_size_total",
    "image_stage_total",
    "image_count_total",
    "image_count_uploading",
)
AMPLE = 1_000_000  # images, or MiB


@dataclass(frozen=True)
class Keystone:
    """A running Keystone."""

    url: str  # …/v3
    admin_password: str
    service_password: str

    def for_the_service(self) -> dict[str, str]:
        """The settings that let our service use it."""
        return {
            "IMAGECATALOG_AUTH": "keystone",
            "IMAGECATALOG_KEYSTONE_URL": self.url,
            "IMAGECATALOG_KEYSTONE_USERNAME": SERVICE_USER,
            "IMAGECATALOG_KEYSTONE_PASSWORD": self.service_password,
        }


@contextlib.contextmanager
def keystone(folder: Path, database: str) -> Iterator[Keystone]:
    """Keystone with its state below ``folder`` and in the PostgreSQL database at this URL."""
    programs = environments.programs("keystone")
    url = f"http://127.0.0.1:{servers.free_port()}/v3"
    made = Keystone(url, secrets.token_hex(12), secrets.token_hex(12))
    folder.mkdir()
    configuration = CONFIGURATION.format(folder=folder, database=_sqlalchemy(database))
    (folder / "keystone.conf").write_text(configuration)
    (folder / "application.py").write_text(APPLICATION)
    _prepare(programs, folder, made)
    env = environments.environ(
        OS_KEYSTONE_CONFIG_FILES=str(folder / "keystone.conf"), PYTHONPATH=str(folder)
    )
    serve = [programs / "gunicorn", "-b", urlsplit(url).netloc, "-w", "2"]
    serve += ["--threads", "4", "application:application"]
    log = folder / "gunicorn.log"
    with servers.running(serve, env, log, signal.SIGTERM) as process:
        servers.wait_until(lambda: _answers(url), "Keystone", 90, process, log)
        yield made


def register(keystone: Keystone, kind: str, url: str) -> None:
    """Put our service into the catalogue, as one of this type."""
    api = _Api(keystone)
    # By this name the suite finds the service to which limits belong.
    name = "glance" if kind == "image" else kind
    service = api.make("service", type=kind, name=name)
    for interface in ("public", "internal", "admin"):
        api.make(
            "endpoint",
            service_id=service,
            interface=interface,
            url=url,
            region_id=REGION,
        )


def register_limits(keystone: Keystone) -> None:
    """Register our limits, so high that only a project with limits of its own notices."""
    api = _Api(keystone)
    (service,) = api.get("/services?type=image").json()["services"]
    limits = [
        {
            "service_id": service["id"],
            "region_id": REGION,
            "resource_name": name,
            "default_limit": AMPLE,
        }
        for name in LIMITS
    ]
    answer = api.post("/registered_limits", json={"registered_limits": limits})
    answer.raise_for_status()


def make_service_user(keystone: Keystone) -> None:
    """The user with which the service checks tokens (role ``service``) and reads limits."""
    api = _Api(keystone)
    project = api.make("project", name="service", domain_id="default")
    user = api.make(
        "user",
        name=SERVICE_USER,
        password=keystone.service_password,
        domain_id="default",
    )
    for name, scope in (("service", f"projects/{project}"), ("reader", "system")):
        roles = api.get(f"/roles?name={name}").json()["roles"]
        role = roles[0]["id"] if roles else api.make("role", name=name)
        api.put(f"/{scope}/users/{user}/roles/{role}").raise_for_status()


class _Api(requests.Session):
    """Keystone's API, as its admin."""

    def __init__(self, keystone: Keystone) -> None:
        super().__init__()
        self.trust_env = False
        self.base = keystone.url
        person = {
            "name": "admin",
            "password": keystone.admin_password,
            "domain": {"id": "default"},
        }
        project = {"name": "admin", "domain": {"id": "default"}}
        identity = {"methods": ["password"], "password": {"user": person}}
        scope = {"project": project}
        answer = self.post("/auth/tokens", json=_wrap(identity=identity, scope=scope))
        answer.raise_for_status()
        self.headers["X-Auth-Token"] = answer.headers["X-Subject-Token"]

    def request(self, method: str, path: str, **options: Any) -> requests.Response:  # type: ignore[override]
        return super().request(method, self.base + path, timeout=60, **options)

    def make(self, kind: str, **fields: str) -> str:
        """A new thing of this kind; its id."""
        answer = self.post(f"/{kind}s", json={kind: fields})
        answer.raise_for_status()
        return answer.json()[kind]["id"]


def _wrap(**auth: Any) -> dict[str, Any]:
    return {"auth": auth}


def _prepare(programs: Path, folder: Path, made: Keystone) -> None:
    for repository in ("fernet", "credentials"):
        (folder / repository).mkdir(mode=0o700)
    manage = [programs / "keystone-manage", "--config-file", folder / "keystone.conf"]
    bootstrap = ["bootstrap", "--bootstrap-password", made.admin_password]
    bootstrap += ["--bootstrap-region-id", REGION]
    for interface in ("public", "internal", "admin"):
        bootstrap += [f"--bootstrap-{interface}-url", made.url]
    owner = ["--keystone-user", str(os.getuid()), "--keystone-group", str(os.getgid())]
    keys = [[f"{name}_setup", *owner] for name in ("fernet", "credential")]
    commands = (["db_sync"], *keys, bootstrap)
    for command in commands:
        done = subprocess.run(
            [*manage, *command],
            env=environments.environ(),
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, f"{command[0]}: {done.stdout}{done.stderr}"


def _sqlalchemy(url: str) -> str:
    """The same database, in the words of SQLAlchemy with psycopg2."""
    parts = urlsplit(url)
    host = unquote(parts.netloc.rpartition("@")[2])
    return f"postgresql+psycopg2://postgres@{parts.path}?host={host}"


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.RequestException):
        return requests.get(url, timeout=60).ok
    return False
