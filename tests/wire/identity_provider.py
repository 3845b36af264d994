"""A real OpenID Connect provider on loopback, and sign-in at its pages without a browser."""

from __future__ import annotations

import json
import os
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from html import unescape
from pathlib import Path
from urllib.parse import urljoin

import requests

from tests import environments, servers
from tests.servers import Missing

# The last version that runs on the Node.js of Debian 12.
PACKAGE = "oidc-provider@8.8.1"
PROGRAM = Path(__file__).with_name("provider.mjs")
CLIENT_ID, SECRET = "imagecatalog", "the-long-secret-of-the-catalogue-there"
CALLBACK = "/admin/sso/callback/"


@dataclass(frozen=True)
class Provider:
    """A running provider. ``users`` is the file with its users and their groups."""

    url: str
    users: Path

    def set_users(self, **users: tuple[str, list[str]]) -> None:
        """Replace all users of the provider: each argument is subject=(name, groups)."""
        self.users.write_text(json.dumps(users))


@contextmanager
def serving(folder: Path, port: int, service_url: str) -> Iterator[Provider]:
    """Run the provider for a service. Raises Missing if Node.js is not installed."""
    node = shutil.which("node")
    if node is None:
        raise Missing("Node.js is not installed")
    package, users = environments.node_package(PACKAGE), folder / "users.json"
    provider = Provider(f"http://127.0.0.1:{port}", users)
    command = [node, PROGRAM, package, str(port), f"{service_url}{CALLBACK}", users]
    log = folder / "provider.log"
    with servers.running(command, os.environ, log) as process:
        servers.wait_until(
            lambda: "listening" in log.read_text(),
            "the provider",
            process=process,
            log=log,
        )
        yield provider


def sign_in(session: requests.Session, start: str, subject: str) -> requests.Response:
    """Sign in as the user ``subject``; return the service's response after the last redirect.

    ``start`` is the URL at which the service starts the sign-in.
    """
    page = session.get(start, timeout=60)
    for values in ({"prompt": "login", "login": subject, "password": "any"}, {}):
        found = re.search('<form[^>]* action="([^"]+)"', page.text)
        assert found, page.text
        url = urljoin(page.url, unescape(found[1]))
        page = session.post(url, {"prompt": "consent"} | values, timeout=60)
    return page
