"""Functions that build the OpenAPI documents: operations, parameters, bodies and answers.

The texts of operations are the docstrings of their views.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from inspect import getdoc
from typing import Any, Final

Document = dict[str, Any]

JSON: Final = "application/json"
OCTETS: Final = "application/octet-stream"
TEXT: Final[Document] = {"type": "string"}
NUMBER: Final[Document] = {"type": "integer"}
FLAG: Final[Document] = {"type": "boolean"}
OBJECT: Final[Document] = {"type": "object"}
UUID: Final = TEXT | {"format": "uuid"}
NOT_EMPTY: Final = TEXT | {"minLength": 1}
TEXT_OR_NULL: Final[Document] = {"type": ["string", "null"]}
NUMBER_OR_NULL: Final[Document] = {"type": ["integer", "null"]}
BYTES: Final[Document] = {"content": {OCTETS: {}}}

REASON: Final[Document] = {
    "name": "X-Reason",
    "in": "header",
    "schema": TEXT,
    "description": "The reason, for the history.",
}
# The parameters of a request for a page of a list, and the links that come with the page.
PAGING: Final[Sequence[Document]] = (
    {"name": "marker", "in": "query", "schema": TEXT},
    {"name": "limit", "in": "query", "schema": NUMBER},
)
PAGE_LINKS: Final[Document] = {"first": TEXT, "next": TEXT}

# The error status codes of any request that needs a signed-in caller.
SIGNED_IN: Final = (400, 401, 403, 404, 429, 503)
WITH_BODY: Final = (408, 413)
# Further error status codes of uploads.
UPLOAD: Final = (409, 410, 415)
PUBLIC: Final = (400,)
REFUSALS: Final = {
    400: "The request is malformed, or one of its values is not allowed.",
    401: "The credentials are missing or wrong.",
    403: "The caller is not allowed to do this, or the image is protected.",
    404: "The object does not exist, or the caller does not see it.",
    408: "The body arrived too slowly.",
    409: "The object is not in the state that the request needs, or exists already.",
    410: "The image was deleted during the transfer, or the upload has ended.",
    412: "A condition in the headers is not met, or the version of tus is not supported.",
    413: "The body is too large, a quota is used up, or the store is full.",
    415: "The media type is not supported, or the data is refused.",
    416: "The range is beyond the end of the data.",
    423: "Another request is sending to the same upload.",
    429: "Requests come too often. The header Retry-After says when to repeat this one.",
    460: "The bytes do not have the stated digest.",
    503: "The service is busy or stopping, or its database or a store is away. Repeat the "
    "request later.",
}
# Packages with whose names the ids of their operations begin.
PACKAGES: Final = ("v1", "v2", "catalog", "identity", "metadefs")
# Sentences about exceptions are for readers of the code.
_RAISES = re.compile(r"\s*\bRaises\b[^.]*\.(?=\s|$)")
_VIEW = re.compile("View(?:Set)?$")
_WORD = re.compile(r"(?<=[a-z])(?=[A-Z])")


def operation(
    view: Callable[..., Any],
    answers: Mapping[int, Document],
    refusals: Iterable[int] = (),
    *,
    parameters: Collection[Document] = (),
    body: Document | None = None,
    public: bool = False,
    form: str = "Refusal",
) -> Document:
    """Return the OpenAPI operation of a view; the view's docstring is its summary and description.

    ``answers`` are the successful responses by status code. ``refusals`` are the status codes
    of errors, besides the errors that any request can cause; the operation refers to the
    response with the name ``form`` and the status code, such as ``Refusal404``. ``public``
    operations need no sign-in.
    """
    # OpenAPI documents are in Markdown.
    text = (getdoc(view) or "").replace("``", "`")
    summary, _, details = _RAISES.sub("", text).partition("\n\n")
    document: Document = {
        "operationId": _name(view),
        "summary": " ".join(summary.split()),
        "description": details.strip(),
        "parameters": [*parameters],
        "responses": {str(status): answer for status, answer in answers.items()},
    }
    common = PUBLIC if public else SIGNED_IN
    of_body = WITH_BODY if body else ()
    for status in sorted({*common, *refusals, *of_body} - answers.keys()):
        document["responses"][str(status)] = {
            "$ref": f"#/components/responses/{form}{status}"
        }
    if body:
        document["requestBody"] = body
    described = {name: value for name, value in document.items() if value}
    return described | ({"security": []} if public else {})


def _name(view: Callable[..., Any]) -> str:
    """Return the unique ``operationId`` of a view, such as ``v2_image_list``."""
    packages = [part for part in view.__module__.split(".") if part in PACKAGES]
    owner, _, method = view.__qualname__.rpartition(".")
    words = _WORD.sub("_", _VIEW.sub("", owner)).lower()
    return "_".join(filter(None, [*packages, words, method]))


def tagged(tag: str, paths: Mapping[str, Document]) -> Document:
    """Return the OpenAPI paths with ``tag`` on each operation; viewers group operations by tags."""
    return {
        path: {method: {"tags": [tag], **one} for method, one in methods.items()}
        for path, methods in paths.items()
    }


def parameter(
    where: str, name: str, schema: Document = TEXT, description: str = ""
) -> Document:
    """Return an OpenAPI parameter; ``where`` is path, query or header. A path parameter is required."""
    document: Document = {"name": name, "in": where, "schema": schema}
    if where == "path":
        document["required"] = True
    return document | ({"description": description} if description else {})


def queries(schema: Document, *names: str) -> list[Document]:
    """Return OpenAPI query parameters with these names, all with the same schema."""
    return [parameter("query", name, schema) for name in names]


def headers(schema: Document, *names: str) -> list[Document]:
    """Return OpenAPI request headers with these names, all with the same schema."""
    return [parameter("header", name, schema) for name in names]


def answer(
    schema: Document, description: str = "Done.", *sent: str, media_type: str = JSON
) -> Document:
    """Return an OpenAPI response with a body; ``sent`` are the names of its headers."""
    content = {media_type: {"schema": schema} if schema else {}}
    return {"description": description, "content": content} | _sent(sent)


def empty(description: str = "Done.", *sent: str) -> Document:
    """Return an OpenAPI response without a body; ``sent`` are the names of its headers."""
    return {"description": description} | _sent(sent)


def _sent(names: Collection[str]) -> Document:
    if not names:
        return {}
    return {"headers": {name: {"schema": TEXT} for name in names}}


def json_body(schema: Document, *, required: bool = True) -> Document:
    """Return the OpenAPI description of a request body in JSON; a client must send a ``required`` one."""
    return {"required": required, "content": {JSON: {"schema": schema}}}


def fields(*required: str, **properties: Document) -> Document:
    """Return the JSON schema of an object with the members ``properties`` (name -> schema).

    ``required`` are the names of the members that an object must have.
    """
    schema: Document = {"type": "object", "properties": properties}
    return schema | ({"required": list(required)} if required else {})


def many(schema: Document) -> Document:
    """Return the JSON schema of a list whose entries have this schema."""
    return {"type": "array", "items": schema}


def page_of(name: str, schema: Document) -> Document:
    """Return the JSON schema of a page of a list: its entries, in the member ``name``, and its links."""
    return fields(name, **{name: many(schema)}, **PAGE_LINKS)


def ref(name: str) -> Document:
    """Return a reference to the schema of this name in the OpenAPI document."""
    return {"$ref": f"#/components/schemas/{name}"}


def schemas(documents: Mapping[str, Document]) -> Document:
    """Return JSON schemas (by name) as the component schemas of an OpenAPI document.

    The ``definitions`` within a schema become component schemas, and references point to them.
    """
    components: Document = {}
    for name, document in documents.items():
        components |= document.get("definitions", {})
        kept = {
            key: value
            for key, value in document.items()
            if key not in ("name", "links", "definitions")
        }
        components[name] = {"type": "object", **kept}
    return {name: _moved(schema) for name, schema in components.items()}


def _moved(value: Any) -> Any:
    """Return a part of a JSON schema, with references changed to the document's component schemas."""
    if isinstance(value, list):
        return [_moved(one) for one in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("$ref"), str):
        return ref(value["$ref"].rpartition("/")[2])
    return {name: _moved(one) for name, one in value.items()}


def refusal_responses(form: str, content: Document) -> Document:
    """Return the OpenAPI responses for all errors: name -> response.

    A name is ``form`` and the status code, such as ``Refusal404``. ``content`` is the OpenAPI
    description of the response's body.
    """
    return {
        f"{form}{status}": {"description": description, "content": content}
        for status, description in REFUSALS.items()
    }
