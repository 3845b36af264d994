"""Namespaces and their content as documents: what a client or a file says about them."""

from __future__ import annotations

from typing import Any

from images.models import MetadefAssociation, MetadefNamespace, MetadefObject

Document = dict[str, Any]


def namespace(row: MetadefNamespace) -> Document:
    """Return the attributes of a namespace, without those that are not set."""
    return {
        "namespace": row.namespace,
        **_set(row, "display_name", "description"),
        "visibility": row.visibility,
        "protected": row.protected,
        **_set(row, "owner"),
    }


def association(row: MetadefAssociation) -> Document:
    """Return an association of a namespace with a resource type."""
    return {"name": row.resource_type.name, **_set(row, "prefix", "properties_target")}


def metadef_object(row: MetadefObject, prefix: str = "") -> Document:
    """Return an object; ``prefix`` comes before the names of its properties."""
    return {
        "name": row.name,
        **_set(row, "description"),
        "required": [prefix + name for name in row.required],
        "properties": {prefix + name: it for name, it in row.properties.items()},
    }


def tree(row: MetadefNamespace) -> Document:
    """Return a namespace with its content, as a file has it."""
    content = {
        "resource_type_associations": [
            association(it) for it in row.associations.all()
        ],
        "properties": {it.name: it.schema for it in row.properties.all()},
        "objects": [metadef_object(it) for it in row.metadef_objects.all()],
        "tags": [{"name": it.name} for it in row.tags.all()],
    }
    return namespace(row) | given(content)


def given(content: Document) -> Document:
    """Return the content of a namespace without what it has none of."""
    return {name: value for name, value in content.items() if value}


def _set(row: Any, *names: str) -> Document:
    return {name: value for name in names if (value := getattr(row, name))}
