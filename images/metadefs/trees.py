"""JSON documents of namespaces and their content, for API clients and files."""

from __future__ import annotations

from typing import Any

from images.models import MetadefAssociation, MetadefNamespace, MetadefObject

Document = dict[str, Any]


def namespace(row: MetadefNamespace) -> Document:
    """Return the document of a namespace without its content. Unset attributes are left out."""
    return {
        "namespace": row.namespace,
        **_set(row, "display_name", "description"),
        "visibility": row.visibility,
        "protected": row.protected,
        **_set(row, "owner"),
    }


def association(row: MetadefAssociation) -> Document:
    """Return the document of a namespace's association with a resource type."""
    return {"name": row.resource_type.name, **_set(row, "prefix", "properties_target")}


def metadef_object(row: MetadefObject, prefix: str = "") -> Document:
    """Return the document of an object, which is a named group of properties.

    ``prefix`` is put before the names of its properties.
    """
    return {
        "name": row.name,
        **_set(row, "description"),
        "required": [prefix + name for name in row.required],
        "properties": {prefix + name: it for name, it in row.properties.items()},
    }


def tree(row: MetadefNamespace) -> Document:
    """Return a namespace and its content as a document of the files that the commands load and export."""
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
    """Return a document of a namespace's content without members that are empty."""
    return {name: value for name, value in content.items() if value}


def _set(row: Any, *names: str) -> Document:
    return {name: value for name in names if (value := getattr(row, name))}
