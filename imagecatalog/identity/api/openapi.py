"""The OpenAPI description of the identity API."""

from __future__ import annotations

from functools import partial
from typing import Any

from imagecatalog.identity.api import sign_in
from imagecatalog.identity.api.application_credentials import (
    ApplicationCredentialViewSet,
)
from imagecatalog.identity.api.directory import (
    ProjectViewSet,
    RoleViewSet,
    UserViewSet,
)
from imagecatalog.identity.api.tokens import SUBJECT, AuthViewSet
from imagecatalog.identity.api.versions import VersionViewSet
from imagecatalog.identity.models import Role
from images.http import openapi
from images.http.openapi import (
    FLAG,
    JSON,
    NOT_EMPTY,
    NUMBER,
    OBJECT,
    TEXT,
    TEXT_OR_NULL,
    Document,
    answer,
    empty,
    fields,
    json_body,
    many,
    operation,
    parameter,
    queries,
    ref,
)

FORM = "IdentityRefusal"
V3 = "/identity/v3"
TOKEN: list[Document] = [{"token": []}]  # no other credentials are accepted

_operation = partial(operation, form=FORM)


def paths() -> Document:
    """Return the OpenAPI operations of the identity API: path -> method -> operation."""
    described = openapi.tagged(
        "Identity", {**_versions(), **_tokens(), **_directory(), **_credentials()}
    )
    for methods in described.values():
        for one in methods.values():
            one.setdefault("security", TOKEN)
    return described


def _versions() -> Document:
    views = VersionViewSet
    found = {300: answer(fields(versions=OBJECT))}
    version = {200: answer(fields(version=OBJECT))}
    return {
        "/identity": {"get": _operation(views.list, found, public=True)},
        V3: {"get": _operation(views.retrieve, version, public=True)},
    }


def _tokens() -> Document:
    view, subject = AuthViewSet, [parameter("header", SUBJECT)]
    found = answer(ref("Token"), "The token is in X-Subject-Token.", SUBJECT)
    short = queries(TEXT, "nocatalog")
    issue = _operation(
        view.issue,
        {201: found},
        parameters=short,
        body=json_body(ref("SignIn")),
    )
    return {
        f"{V3}/auth/tokens": {
            "post": {**issue, "security": []},
            "get": _operation(
                view.validate, {200: found}, parameters=[*subject, *short]
            ),
            "head": _operation(
                view.check,
                {200: empty("The token is valid.", SUBJECT)},
                parameters=subject,
            ),
            "delete": _operation(view.revoke, {204: empty()}, parameters=subject),
        },
        f"{V3}/auth/projects": {
            "get": _operation(view.projects, {200: _page("projects", ref("Project"))})
        },
        f"{V3}/auth/catalog": {
            "get": _operation(view.catalog, {200: _page("catalog", OBJECT)})
        },
    }


def _directory() -> Document:
    named = queries(TEXT, "name")
    return {
        f"{V3}/projects": {
            "get": _operation(
                ProjectViewSet.list,
                {200: _page("projects", ref("Project"))},
                parameters=named,
            )
        },
        f"{V3}/projects/{{project_id}}": _show(
            ProjectViewSet, "project_id", fields(project=ref("Project"))
        ),
        f"{V3}/users/{{user_id}}": _show(UserViewSet, "user_id", fields(user=OBJECT)),
        f"{V3}/roles": {
            "get": _operation(
                RoleViewSet.list, {200: _page("roles", OBJECT)}, parameters=named
            )
        },
        f"{V3}/roles/{{role_id}}": _show(RoleViewSet, "role_id", fields(role=OBJECT)),
    }


def _show(views: Any, name: str, schema: Document) -> Document:
    one = [parameter("path", name, NOT_EMPTY)]
    return {"get": _operation(views.retrieve, {200: answer(schema)}, parameters=one)}


def _credentials() -> Document:
    views, name = ApplicationCredentialViewSet, "application_credential"
    path = f"{V3}/users/{{user_id}}/{name}s"
    user = [parameter("path", "user_id")]
    one = [*user, parameter("path", "credential_id")]
    document = fields(**{name: ref("ApplicationCredential")})
    return {
        path: {
            "get": _operation(
                views.list,
                {200: _page(f"{name}s", ref("ApplicationCredential"))},
                parameters=[*user, *queries(TEXT, "name")],
            ),
            "post": _operation(
                views.create,
                {201: answer(document, "The answer alone has the secret.")},
                (409,),
                parameters=user,
                body=json_body(fields(name, **{name: ref("NewApplicationCredential")})),
            ),
        },
        f"{path}/{{credential_id}}": {
            "get": _operation(views.retrieve, {200: answer(document)}, parameters=one),
            "delete": _operation(views.destroy, {204: empty()}, parameters=one),
        },
    }


def _page(name: str, item: Document) -> Document:
    return answer(fields(**{name: many(item)}, links=OBJECT))


def components() -> Document:
    """Return the OpenAPI schemas of the identity API, by name."""
    methods = [*sign_in.METHODS]
    identity = fields(
        "methods",
        methods=many({"enum": methods}) | {"minItems": 1, "maxItems": 1},
        **dict.fromkeys(methods, OBJECT),
    )
    scope = {"anyOf": [fields("project", project=OBJECT), {"const": "unscoped"}]}
    auth = fields("identity", identity=identity, scope=scope)
    times = dict.fromkeys(("issued_at", "expires_at"), TEXT)
    token = fields(methods=many(TEXT), user=OBJECT, project=OBJECT, **times)
    text = dict.fromkeys(("name", "description", "secret", "expires_at"), TEXT)
    roles = many(fields(name={"enum": Role.values}))
    return {
        "SignIn": fields("auth", auth=auth),
        "Token": fields(token=token),
        "Project": fields("id", "name", id=TEXT, name=TEXT, enabled=FLAG),
        "NewApplicationCredential": fields(
            "name", **text, roles=roles, actions=many(TEXT)
        ),
        "ApplicationCredential": fields(
            id=TEXT,
            **{**text, "description": TEXT_OR_NULL, "expires_at": TEXT_OR_NULL},
            roles=many(OBJECT),
        ),
    }


def responses() -> Document:
    """Return the OpenAPI error responses of the identity API, by name."""
    error = fields(code=NUMBER, message=TEXT, title=TEXT)
    return openapi.refusal_responses(FORM, {JSON: {"schema": fields(error=error)}})
