"""Comparison of what the service answers with what its OpenAPI document says."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any

from django.urls import Resolver404, ResolverMatch, resolve

ID = "00000000-0000-4000-8000-000000000000"
# A failure of the service is nothing that clients can rely on.
FAILED = 500


@cache
def operations() -> dict[Callable[..., Any], dict[str, Any]]:
    """The described operations (method -> operation) of each view of the URL conf."""
    from imagecatalog import openapi  # has models, which need Django's set-up

    return {
        resolve(_example(path, methods)).func: methods
        for path, methods in openapi.document()["paths"].items()
    }


def _example(path: str, methods: dict[str, Any]) -> str:
    for parameter in next(iter(methods.values())).get("parameters", ()):
        if parameter["in"] == "path":
            schema = parameter["schema"]
            value = ID if schema.get("format") == "uuid" else schema.get("enum", "x")[0]
            path = path.replace(f"{{{parameter['name']}}}", value)
    return path


def check(
    method: str, path: str, status: int, match: ResolverMatch | None = None
) -> None:
    """Assert that the document has this status code, if it has the operation.

    ``match``: what the service has found for the path, which need not be found again.
    """
    from images.api import versions

    try:
        view = (match or resolve(path)).func
    except Resolver404:
        return
    if view is versions.fallback:  # answers for other views, and for all unknown paths
        return
    methods = operations().get(view, {})
    if operation := methods.get(method.lower()):
        known = {*operation["responses"], str(FAILED)}
        assert str(status) in known, f"/openapi.json lacks {status} of {method} {path}"
