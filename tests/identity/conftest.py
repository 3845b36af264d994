"""Fixtures for tests of the identity service: users, and a client of the identity API."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import User
from django.http import HttpResponse
from django.test import Client

from imagecatalog.identity import credentials, tokens, verification
from imagecatalog.identity.models import Project, RoleAssignment

PASSWORD = "correct horse battery"
DOMAIN = {"id": "default"}


class Identity:
    """A client of the identity API: ``identity.sign_in("alice", project="lab")`` returns a token."""

    def __init__(self) -> None:
        self.client = Client(headers={"Host": "images.example.org"})

    def post(self, document: Any, path: str = "auth/tokens", **headers: str) -> Any:
        return self.client.post(
            f"/identity/v3/{path}",
            document,
            content_type="application/json",
            headers=headers,
        )

    def get(self, path: str, token: str = "", **headers: str) -> Any:
        headers = {"X-Auth-Token": token, **headers}
        return self.client.get(f"/identity/v3/{path}", headers=headers)

    def delete(self, path: str, token: str, **headers: str) -> Any:
        headers = {"X-Auth-Token": token, **headers}
        return self.client.delete(f"/identity/v3/{path}", headers=headers)

    def try_password(
        self, name: str, password: str = PASSWORD, project: str | None = None
    ) -> HttpResponse:
        user = {"name": name, "domain": DOMAIN, "password": password}
        auth: dict[str, Any] = {
            "identity": {"methods": ["password"], "password": {"user": user}}
        }
        if project:
            auth["scope"] = {"project": {"name": project, "domain": DOMAIN}}
        return self.post({"auth": auth})

    def sign_in(self, name: str, project: str | None = None) -> str:
        """Sign in with the password of all test users, and return the token."""
        answer = self.try_password(name, project=project)
        assert answer.status_code == 201, answer.content
        return answer.headers["X-Subject-Token"]

    def exchange(self, token: str, project: str | None = None) -> HttpResponse:
        """Request another token with ``token``, and return the response."""
        method = {"methods": ["token"], "token": {"id": token}}
        auth: dict[str, Any] = {"identity": method}
        if project:
            auth["scope"] = {"project": {"name": project, "domain": DOMAIN}}
        return self.post({"auth": auth})

    def try_credential(self, secret: str, **which: Any) -> HttpResponse:
        given = {"secret": secret, **which}
        methods = ["application_credential"]
        identity = {"methods": methods, "application_credential": given}
        return self.post({"auth": {"identity": identity}})

    def images(self, token: str) -> int:
        """List the images with ``token``, and return the status code."""
        return self.client.get(
            "/v2/images", headers={"X-Auth-Token": token}
        ).status_code


@pytest.fixture(autouse=True)
def _fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(verification, "_verified", {})
    monkeypatch.setattr(credentials, "_touched", {})
    monkeypatch.setattr(tokens, "_valid", {})


@pytest.fixture
def identity(db: None) -> Identity:
    return Identity()


def user(name: str, **roles: str) -> User:
    made = User.objects.create_user(name, password=PASSWORD)
    for project, role in roles.items():
        row, _ = Project.objects.get_or_create(id=f"id-of-{project}", name=project)
        RoleAssignment.objects.create(user=made, project=row, role=role)
    return made


@pytest.fixture
def alice(db: None) -> User:
    """The user alice: member of the project lab, and reader of the project archive."""
    return user("alice", lab="member", archive="reader")


@pytest.fixture
def bob(db: None) -> User:
    """The user bob: member of the project works, and of no project of alice."""
    return user("bob", works="member")


@pytest.fixture
def root(db: None) -> User:
    return user("root", admin="admin")
