"""Signing in to a service, once: from credentials to the headers of every request."""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

import requests

from tests.bench.wire import BenchError, Endpoint, call


def basic(user: str, password: str) -> dict[str, str]:
    """HTTP Basic."""
    pair = base64.b64encode(f"{user}:{password}".encode()).decode()
    return {"Authorization": f"Basic {pair}"}


def keystone(
    url: str, user: str, password: str, project: str, domain: str = "default"
) -> dict[str, str]:
    """A project-scoped token of an Identity v3 service at ``url`` (…/v3)."""
    where = {"id": domain}
    person = {"name": user, "password": password, "domain": where}
    payload = {
        "auth": {
            "identity": {"methods": ["password"], "password": {"user": person}},
            "scope": {"project": {"name": project, "domain": where}},
        }
    }
    answer = call(Endpoint.of(url), "POST", "/auth/tokens", payload)
    return {"X-Auth-Token": answer.expect(201, "sign-in").headers["x-subject-token"]}


def keystone_url(url: str) -> dict[str, str]:
    """A token with the credentials inside ``http://user:password@host:port/v3``."""
    parts = urlsplit(url)
    if not parts.username or not parts.password:
        raise BenchError("the sign-in address needs user:password@ before the host")
    plain = parts._replace(netloc=parts.netloc.rsplit("@", 1)[1]).geturl()
    return keystone(
        plain,
        unquote(parts.username),
        unquote(parts.password),
        os.environ.get("OS_PROJECT_NAME", "admin"),
    )


def environment() -> dict[str, str]:
    """A token with the OS_* variables; nothing when OS_AUTH_URL is not set."""
    env = os.environ
    if "OS_AUTH_URL" not in env:
        return {}
    try:
        return keystone(
            env["OS_AUTH_URL"],
            env["OS_USERNAME"],
            env["OS_PASSWORD"],
            env["OS_PROJECT_NAME"],
            env.get("OS_USER_DOMAIN_ID", "default"),
        )
    except KeyError as missing:
        raise BenchError(f"OS_AUTH_URL is set, {missing} is not") from None


def headers(how: str) -> Mapping[str, str]:
    """What ``--auth`` says: none, basic:USER:PASSWORD, token:VALUE, keystone[:URL]."""
    kind, _, rest = how.partition(":")
    if kind == "none":
        return {}
    if kind == "basic" and ":" in rest:
        return basic(*rest.split(":", 1))
    if kind == "token" and rest:
        return {"X-Auth-Token": rest}
    if kind == "keystone":
        return keystone_url(rest) if rest else environment()
    raise BenchError(
        f"--auth {how}: say none, basic:USER:PASSWORD, token:VALUE or keystone:URL"
    )


def browser(endpoint: Endpoint, user: str, password: str) -> str:
    """The cookie of somebody who has signed in to the browser admin."""
    base = f"http://{endpoint.host}:{endpoint.port}{endpoint.prefix}/admin/login/"
    with requests.Session() as session:
        session.trust_env = False
        session.get(base, timeout=60)
        form = {
            "username": user,
            "password": password,
            "csrfmiddlewaretoken": session.cookies.get("csrftoken", ""),
        }
        answer = session.post(base, form, timeout=60, allow_redirects=False)
        if answer.status_code != 302:
            raise BenchError(f"signing in to the admin: {answer.status_code}")
        return f"sessionid={session.cookies['sessionid']}"
