"""The web page ``/docs``, which shows people the OpenAPI description of the APIs."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from functools import cache
from http.client import responses as reasons
from typing import Any, Final, NamedTuple

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.html import escape
from django.utils.safestring import SafeString, mark_safe

from imagecatalog import openapi
from imagecatalog.middleware import content_security_policy
from images.http.openapi import Document
from images.http.views import without_body

_CODE: Final = re.compile("`([^`]+)`")  # in Markdown


class Type(NamedTuple):
    """The type of a value: a ``text`` that describes it, and the name of its ``schema`` if it has one."""

    text: str
    schema: str = ""


class Value(NamedTuple):
    """A parameter of an operation, or a field of a schema, as the page ``/docs`` shows it."""

    name: str
    type: Type
    description: str
    where: str = ""  # path, query or header
    required: bool = False


class Answer(NamedTuple):
    """A possible response of an operation: its status code, meaning and type of body."""

    status: str
    description: str
    type: Type


class Operation(NamedTuple):
    """An operation of an API, with its parameters, request bodies and possible responses."""

    method: str
    path: str
    document: Document
    summary: SafeString  # HTML
    description: SafeString
    parameters: list[Value]
    bodies: list[tuple[str, Type]]
    answers: list[Answer]


@without_body
@content_security_policy
def api_page(request: HttpRequest) -> HttpResponse:
    """Return the page ``/docs``, with all operations and schemas of the APIs."""
    return HttpResponse(_rendered())


@cache
def _rendered() -> str:
    context = {
        "chapters": chapters(),
        "schemas": schemas(),
        "version": settings.IMAGECATALOG_VERSION,
    }
    return render_to_string("docs/api.html", context)


def chapters() -> list[tuple[str, list[Operation]]]:
    """Return the chapters of the page ``/docs``: one for each tag of the OpenAPI description.

    A chapter is the name of the tag, and the operations that have this tag.
    """
    document = openapi.document()
    found = [
        (one["tags"], _operation(method, path, one))
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    ]
    return [
        (tag["name"], [one for tags, one in found if tag["name"] in tags])
        for tag in document["tags"]
    ]


def schemas() -> list[tuple[str, list[Value]]]:
    """Return (name, fields) for each schema of the OpenAPI description."""
    found = openapi.document()["components"]["schemas"]
    return [(name, list(_fields(schema))) for name, schema in found.items()]


def _operation(method: str, path: str, document: Document) -> Operation:
    content = document.get("requestBody", {}).get("content", {})
    return Operation(
        method.upper(),
        path,
        document,
        _html(document["summary"]),
        _html(document.get("description", "")),
        [_parameter(one) for one in document.get("parameters", ())],
        [(name, _type(one.get("schema", {}))) for name, one in content.items()],
        [_answer(status, one) for status, one in document["responses"].items()],
    )


def _html(text: str) -> SafeString:
    """Convert a text of the OpenAPI description to HTML; text between backticks becomes ``<code>``."""
    return mark_safe(_CODE.sub(r"<code>\1</code>", escape(text)))


def _parameter(one: Document) -> Value:
    schema = _type(one["schema"])
    description = one.get("description", "")
    return Value(
        one["name"], schema, description, one["in"], one.get("required", False)
    )


def _fields(schema: Document) -> Iterator[Value]:
    needed = schema.get("required", ())
    for name, one in schema.get("properties", {}).items():
        description = one.get("description", "")
        yield Value(name, _type(one), description, required=name in needed)


def _answer(status: str, one: Document) -> Answer:
    if "$ref" in one:
        name = one["$ref"].rpartition("/")[2]
        one = openapi.document()["components"]["responses"][name]
    contents: Document = one.get("content", {})
    media_type = next(iter(contents), "")
    shown = _type(contents.get(media_type, {}).get("schema", {}))
    reason = reasons.get(int(status), "")
    return Answer(
        f"{status} {reason}".strip(),
        one["description"],
        shown if any(shown) else Type(media_type),
    )


def _type(schema: Mapping[str, Any]) -> Type:
    if "$ref" in schema:
        return Type("", schema["$ref"].rpartition("/")[2])
    if "enum" in schema:
        return Type(" | ".join(str(one) for one in schema["enum"] if one is not None))
    if "const" in schema:
        return Type(str(schema["const"]))
    kind = schema.get("type", "")
    if kind == "array":
        entry = _type(schema.get("items", {}))
        return Type(f"list of {entry.text}".strip(), entry.schema)
    return Type(kind if isinstance(kind, str) else " or ".join(kind))
