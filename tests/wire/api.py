"""The Image API in the shortest words, for tests in which it is not the subject."""

from __future__ import annotations

import base64
import socket
import struct
from collections.abc import Iterable
from typing import Any
from urllib.parse import unquote, urlsplit

import requests

from tests import described
from tests.servers import Service

OCTETS = {"Content-Type": "application/octet-stream"}
PATCH = {"Content-Type": "application/openstack-images-v2.1-json-patch"}


class Api(requests.Session):
    """A session, signed in; paths begin behind ``/v2/``."""

    version = "v2"

    def __init__(self, service: Service, auth: tuple[str, str] | None = None) -> None:
        super().__init__()
        self.trust_env = False
        self.base = f"{service.url}/{self.version}/"
        self.auth = auth or service.auth

    def request(self, method: str, path: str, **options: Any) -> requests.Response:  # type: ignore[override]
        response = super().request(method, self.base + path, timeout=60, **options)
        sent = response.request
        described.check(
            sent.method, unquote(sent.path_url.partition("?")[0]), response.status_code
        )
        return response

    def new(self, **fields: Any) -> str:
        """The id of a new image, ready for data."""
        formats = {"disk_format": "raw", "container_format": "bare"}
        answer = self.post("images", json=formats | fields)
        assert answer.status_code == 201, answer.text
        return answer.json()["id"]

    def upload(self, image_id: str, data: bytes | Iterable[bytes]) -> requests.Response:
        return self.put(f"images/{image_id}/file", data=data, headers=OCTETS)

    def data(self, image_id: str) -> bytes:
        return self.get(f"images/{image_id}/file").content

    def image(self, image_id: str) -> dict[str, Any]:
        return self.get(f"images/{image_id}").json()


class ApiV1(Api):
    """A session of API v1, signed in: metadata is in headers."""

    version = "v1"

    def register(
        self, data: Any = None, copy_from: str | None = None, **fields: Any
    ) -> requests.Response:
        """A new raw image, with this data."""
        formats = {"disk_format": "raw", "container_format": "bare"}
        headers = meta(**formats | fields)
        if copy_from:
            headers["X-Glance-API-Copy-From"] = copy_from
        return self.post("images", data=data, headers=OCTETS | headers)

    def status(self, image_id: str) -> str:
        return self.head(f"images/{image_id}").headers["x-image-meta-status"]


class CatalogApi(Api):
    """A session of the catalogue's own API, signed in."""

    version = "catalog/v1"


def meta(**fields: Any) -> dict[str, str]:
    """As headers."""
    return {f"X-Image-Meta-{name}": str(value) for name, value in fields.items()}


def connect(service: Service) -> socket.socket:
    """A connection for requests that no client would send."""
    address = urlsplit(service.url)
    return socket.create_connection((address.hostname, address.port), timeout=60)


def head(service: Service, method: str, target: str, *fields: str) -> bytes:
    """The head of a request, signed in."""
    user = base64.b64encode(":".join(service.auth).encode()).decode()
    lines = [f"{method} {target} HTTP/1.1", "Host: catalogue"]
    return "\r\n".join(
        [*lines, f"Authorization: Basic {user}", *fields, "", ""]
    ).encode()


def upload_head(service: Service, image_id: str, framing: str) -> bytes:
    """``framing`` is a Content-Length or a Transfer-Encoding."""
    kind = "Content-Type: application/octet-stream"
    return head(service, "PUT", f"/v2/images/{image_id}/file", kind, framing)


def reset(sock: socket.socket) -> None:
    """Close with a RST, as a crashed client or a firewall does."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def sign_in(service: Service) -> str:
    """A token of the admin."""
    user, password = service.auth
    domain = {"domain": {"id": "default"}}
    who = {"user": {"name": user, "password": password} | domain}
    identity = {"methods": ["password"], "password": who}
    scope = {"project": {"name": "admin"} | domain}
    document = {"auth": {"identity": identity, "scope": scope}}
    url = f"{service.url}/identity/v3/auth/tokens"
    return requests.post(url, json=document, timeout=60).headers["X-Subject-Token"]
