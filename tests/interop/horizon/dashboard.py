"""A real Horizon on loopback, which finds the image service in Keystone's catalogue."""

from __future__ import annotations

import contextlib
import secrets
from collections.abc import Iterator
from pathlib import Path

import requests

from tests import environments, servers

# Horizon imports its local settings as `local.local_settings`. What is compiled and compressed at
# the first request is kept in the folder.
SETTINGS = """
SECRET_KEY = {key!r}
ALLOWED_HOSTS = ["127.0.0.1"]
OPENSTACK_KEYSTONE_URL = {keystone!r}
CACHES = {{
    "default": {{
        "BACKEND": "django.core.cache.backends.filebased.FileBasedCache",
        "LOCATION": "{folder}/cache",
        "OPTIONS": {{"MAX_ENTRIES": 10_000}},  # sessions among them
    }}
}}
STATIC_ROOT = "{folder}/static"
COMPRESS_OFFLINE = False
IMAGES_ALLOW_LOCATION = True
HORIZON_IMAGES_UPLOAD_MODE = {mode!r}
"""
# Horizon expects a web server that serves its scripts.
APPLICATION = """
from django.contrib.staticfiles.handlers import StaticFilesHandler
from openstack_dashboard.wsgi import application as dashboard

application = StaticFilesHandler(dashboard)
"""
LOGIN = "/auth/login/"


@contextlib.contextmanager
def dashboard(folder: Path, keystone: str, port: int, mode: str) -> Iterator[str]:
    """Run Horizon behind the Keystone at this URL; yields Horizon's own URL.

    ``mode`` says where the browser sends the files of images: to Horizon (``legacy``), or to the
    image service (``direct``).
    """
    _configure(folder, keystone, mode)
    address = f"127.0.0.1:{port}"
    serve = [environments.programs("horizon") / "gunicorn", "-b", address]
    serve += ["--threads", "8", "--timeout", "120", "application:application"]
    env = environments.environ(
        PYTHONPATH=str(folder), PYTHONWARNINGS="ignore", PYTHONDONTWRITEBYTECODE="1"
    )
    log = folder / "horizon.log"
    with servers.running(serve, env, log, root=folder) as process:
        url = f"http://{address}"
        # The first request compiles the styles.
        servers.wait_until(lambda: _answers(url), "Horizon", 120, process, log)
        yield url


def _configure(folder: Path, keystone: str, mode: str) -> None:
    local = folder / "local"
    local.mkdir(parents=True, exist_ok=True)
    (local / "__init__.py").touch()
    (local / "local_settings.py").write_text(
        SETTINGS.format(
            key=secrets.token_hex(), keystone=keystone, folder=folder, mode=mode
        )
    )
    (folder / "application.py").write_text(APPLICATION)


def _answers(url: str) -> bool:
    with contextlib.suppress(requests.ConnectionError):
        return requests.get(url + LOGIN, timeout=120).ok
    return False
