"""``/openapi.json``: the OpenAPI description of all APIs that this service has."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from typing import Any

import orjson
from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.views.decorators.http import condition

from imagecatalog.identity.api import openapi as identity
from images.api import health, versions
from images.api.catalog import openapi as catalog
from images.api.v1 import openapi as v1
from images.api.v2 import openapi as v2
from images.http import openapi
from images.http.openapi import (
    JSON,
    OBJECT,
    TEXT,
    Document,
    answer,
    empty,
    fields,
    many,
    operation,
)
from images.http.views import without_body

ABOUT = (
    "The OpenStack Image API and its extensions. Requests are signed in with a token, with a "
    "user name and password (HTTP Basic), or with a key (Bearer). Errors are HTML, JSON or "
    "plain text, whichever the header Accept prefers."
)
SECURITY = {
    "token": {"type": "apiKey", "in": "header", "name": "X-Auth-Token"},
    "basic": {"type": "http", "scheme": "basic"},
    "bearer": {"type": "http", "scheme": "bearer"},
}
PROBES = ("healthcheck", "readyz", "healthz")
BY_AUTH = {"embedded": ("token", "basic", "bearer"), "keystone": ("token",)}


@cache
def document() -> Document:
    """Return the OpenAPI description of the APIs that the settings switch on."""
    has_identity = settings.IMAGECATALOG_AUTH == "embedded"
    has_v1 = settings.IMAGECATALOG_V1
    optional = ((v1, has_v1), (identity, has_identity))
    parts: list[Any] = [v2, catalog, *(part for part, is_on in optional if is_on)]
    schemas: Document = {"Error": fields(message=TEXT, code=TEXT, title=TEXT)}
    paths = _public()
    for part in parts:
        paths |= part.paths()
        schemas |= part.components()
    schemes = BY_AUTH.get(settings.IMAGECATALOG_AUTH, ())
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "imagecatalog",
            "version": str(settings.IMAGECATALOG_VERSION),
            "description": ABOUT,
            "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "/"}],
        "security": [{name: []} for name in schemes],
        "tags": [{"name": name} for name in _tags(paths)],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "responses": _refusals() | (identity.responses() if has_identity else {}),
            "securitySchemes": {name: SECURITY[name] for name in schemes},
        },
    }


@cache
def _rendered() -> tuple[bytes, str]:
    """Return the OpenAPI description as JSON, and its ETag."""
    content = orjson.dumps(document())
    return content, f'"{hashlib.sha256(content).hexdigest()}"'


def _etag(request: HttpRequest) -> str:
    return _rendered()[1]


@without_body
@condition(etag_func=_etag)
def openapi_json(request: HttpRequest) -> HttpResponse:
    """Return the OpenAPI description of all APIs of this service, as JSON with an ETag."""
    response = HttpResponse(_rendered()[0], content_type=JSON)
    response.headers["Cache-Control"] = "no-cache"  # kept, but compared by the ETag
    return response


def _public() -> Document:
    """Return the OpenAPI operations that need no sign-in, by path.

    They are the versions of the API, the health probes and ``/openapi.json``.
    """
    found = answer(fields(versions=many(OBJECT)))
    document = {200: answer(OBJECT, "Done.", "ETag"), 304: empty()}
    root = {300: found, 302: empty("To the browser admin, if Accept names text/html.")}
    paths = {
        "/": {"get": operation(versions.fallback, root, public=True)},
        "/versions": {"get": operation(versions.versions, {200: found}, public=True)},
        "/openapi.json": {
            "get": operation(openapi_json, document, (412,), public=True)
        },
        **{f"/{path}": _probe(health.healthcheck, path) for path in PROBES},
        "/livez": _probe(health.livez, "livez"),
    }
    return openapi.tagged("Versions and probes", paths)


def _probe(view: Callable[..., Any], path: str) -> Document:
    """Return the OpenAPI operations GET and HEAD of a health probe, by method.

    ``view`` is the function that answers the probe at ``path``.
    """
    text = answer(TEXT, "The service works.", media_type="text/plain")
    content = text["content"] | {JSON: {"schema": OBJECT}}
    answers = {
        "get": {200: text | {"content": content}},
        "head": {204: empty("The service works.")},
    }
    return {
        method: operation(view, done, (503,), public=True)
        | {"operationId": f"{method}_{path}"}
        for method, done in answers.items()
    }


def _refusals() -> Document:
    form = {"schema": TEXT}
    error = {"schema": openapi.ref("Error")}
    content = {JSON: error, "text/plain": form, "text/html": form}
    return openapi.refusal_responses("Refusal", content)


def _tags(paths: Document) -> list[str]:
    found = (one["tags"][0] for methods in paths.values() for one in methods.values())
    return list(dict.fromkeys(found))
