"""Sign-in at a provider that sends forged ID tokens, which the service must refuse."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler
from itertools import count
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
import pytest
import requests
from cryptography.hazmat.primitives.asymmetric import rsa

from tests import servers, web
from tests.wire.identity_provider import CALLBACK, CLIENT_ID, SECRET

pytestmark = pytest.mark.xdist_group("single-sign-on")
KEY, OTHER_KEY = (rsa.generate_private_key(65537, 2048) for _ in range(2))
Change = Callable[[dict[str, Any]], str]


class Forger(BaseHTTPRequestHandler):
    """A provider that sends the ID token ``token``. Its one user is in the group of superusers."""

    url = ""
    token = ""
    userinfo_subject = "7"

    def log_message(self, *args: Any) -> None:
        pass

    def do_GET(self) -> None:
        public = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(KEY.public_key()))
        shared = base64.urlsafe_b64encode(SECRET.encode()).decode().rstrip("=")
        documents: dict[str, Any] = {
            "/.well-known/openid-configuration": {
                "issuer": self.url,
                "authorization_endpoint": f"{self.url}/auth",
                "token_endpoint": f"{self.url}/token",
                "jwks_uri": f"{self.url}/keys",
                "userinfo_endpoint": f"{self.url}/me",
            },
            "/keys": {
                "keys": [
                    public | {"kid": "1", "use": "sig"},
                    {"kty": "oct", "k": shared, "kid": "2", "alg": "HS256"},
                ]
            },
            "/me": {"sub": self.userinfo_subject, "groups": ["admins"]},
        }
        self._send(documents[self.path])

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers["Content-Length"]))
        token = {"access_token": "x", "token_type": "Bearer", "id_token": self.token}
        self._send(token)

    def _send(self, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@dataclass(frozen=True)
class Sites:
    service: servers.Service
    forger: type[Forger]
    clients: Iterator[int]  # the limit for an address is not what is tested here

    def sign_in(self, change: Change) -> requests.Response:
        """Sign in with an ID token that ``change`` makes from valid claims; return the response.

        The response is that of the service to the callback.
        """
        now = int(time.time())
        claims = {"iss": self.forger.url, "sub": "7", "aud": CLIENT_ID}
        claims |= {"iat": now, "exp": now + 60, "preferred_username": "alice"}
        self.forger.token = change(claims | {"groups": ["admins"]})
        session, url = requests.Session(), self.service.url
        session.headers["X-Forwarded-For"] = f"192.0.2.{next(self.clients)}"
        start = session.get(f"{url}/admin/sso/", allow_redirects=False, timeout=60)
        (state,) = parse_qs(urlsplit(start.headers["Location"]).query)["state"]
        parameters = {"code": "code", "state": state}
        return session.get(
            f"{url}{CALLBACK}", params=parameters, allow_redirects=False, timeout=60
        )


@pytest.fixture(scope="module")
def sites(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sites]:
    with web.serving(Forger) as url:
        Forger.url = url
        env = {
            "IMAGECATALOG_OIDC_ISSUER": url,
            "IMAGECATALOG_OIDC_CLIENT_ID": CLIENT_ID,
            "IMAGECATALOG_OIDC_CLIENT_SECRET": SECRET,
            "IMAGECATALOG_OIDC_ADMIN_GROUP": "admins",
            "IMAGECATALOG_TRUSTED_PROXIES": "127.0.0.1",
        }
        folder = tmp_path_factory.mktemp("forged")
        with servers.catalogue(folder, env, workers=1) as service:
            yield Sites(service, Forger, count(1))


def signed(
    claims: dict[str, Any], key: Any = KEY, kid: str = "1", **changes: Any
) -> str:
    kept = {name: value for name, value in (claims | changes).items() if value}
    return jwt.encode(kept, key, "RS256", {"kid": kid})


def by_hmac(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, SECRET, "HS256", {"kid": "2"})


def unsigned(claims: dict[str, Any]) -> str:
    return jwt.encode(claims, None, "none", {"kid": "1"})


FORGERIES: dict[str, Change] = {
    "another key": lambda claims: signed(claims, OTHER_KEY),
    "an unknown key": lambda claims: signed(claims, kid="3"),
    "the secret of the client": by_hmac,
    "no signature": unsigned,
    "another issuer": lambda claims: signed(claims, iss="https://id.example.org"),
    "another client": lambda claims: signed(claims, aud="other"),
    "a token passed on": lambda claims: signed(claims, azp="other"),
    "expired": lambda claims: signed(claims, exp=int(time.time()) - 120),
    "no end": lambda claims: signed(claims, exp=None),
    "no subject": lambda claims: signed(claims, sub=None),
    "no token": lambda claims: "",
}


def test_a_token_of_the_provider_is_accepted(sites: Sites) -> None:
    assert sites.sign_in(signed).headers.get("Location") == "/admin/"


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forged_token_is_refused(forgery: str, sites: Sites) -> None:
    answer = sites.sign_in(FORGERIES[forgery])

    assert answer.status_code == 403
    assert "did not sign you in" in answer.text
    assert "Traceback" not in sites.service.log.read_text()


def test_the_groups_of_another_subject_are_refused(
    sites: Sites, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Forger, "userinfo_subject", "8")

    answer = sites.sign_in(lambda claims: signed(claims, groups=None))

    assert answer.status_code == 403
