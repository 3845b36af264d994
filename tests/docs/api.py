"""The reference of the API, with the content of the service's own page."""

from __future__ import annotations

from collections.abc import Iterator

from imagecatalog import api_page
from imagecatalog.api_page import Answer, Operation, Type, Value
from tests.docs.tables import table


def reference() -> str:
    """Operations by chapter, then the schemas to which they refer."""
    parts = []
    for name, operations in api_page.chapters():
        parts.append(f"## {name}\n")
        for operation in operations:
            parts += _operation(operation)
    parts.append("## Schemas\n")
    for name, fields in api_page.schemas():
        parts.append(f"({_anchor(name)})=\n### {name}\n")
        rows = ((*_named(one), one.description) for one in fields)
        parts.append(table(("Field", "Type", "Meaning"), rows))
    return "\n".join(parts)


def _operation(one: Operation) -> Iterator[str]:
    yield f"### {one.method} {one.path}\n"
    yield f"{one.document['summary']}\n"
    yield f"{one.document.get('description', '')}\n"
    if one.parameters:
        head = ("Parameter", "Type", "In", "Meaning")
        rows = ((*_named(it), it.where, it.description) for it in one.parameters)
        yield table(head, rows)
    for media_type, schema in one.bodies:
        yield f"Body: `{media_type}` {_linked(schema)}\n"
    yield table(("Answer", "Body", "Meaning"), map(_answer, one.answers))


def _named(value: Value) -> tuple[str, str]:
    name = (
        f"`{value.name}`{' (required)' if value.required and not value.where else ''}"
    )
    return name, _linked(value.type)


def _answer(answer: Answer) -> tuple[str, str, str]:
    return answer.status, _linked(answer.type), answer.description


def _linked(shown: Type) -> str:
    text = shown.text.replace("|", "\\|")
    link = f"[{shown.schema}](#{_anchor(shown.schema)})" if shown.schema else ""
    return f"{text} {link}".strip()


def _anchor(schema: str) -> str:
    return f"schema-{schema.lower()}"
