"""Loading and writing of namespaces: Glance's JSON documents, and files with one namespace each."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import orjson
from django.db import transaction
from django.utils import timezone

from images import errors
from images.metadefs.documents import Tree, clean_namespace, tag_key
from images.metadefs.namespaces import CONTENT, fill, insert, with_content
from images.metadefs.trees import tree as document_of
from images.models import MetadefNamespace

_ODD = re.compile(r"[^\w.-]+")


class Merge(StrEnum):
    """The ways in which loading a file can change a namespace that already exists."""

    SKIP = "skip"  # the namespace is not changed
    ADD = "add"  # missing content is added
    PREFER_NEW = "prefer-new"  # content is added, or replaced by name
    OVERWRITE = "overwrite"  # the namespace is replaced


_OUTCOMES = {
    Merge.SKIP: "skipped",
    Merge.ADD: "merged",
    Merge.PREFER_NEW: "merged",
    Merge.OVERWRITE: "overwritten",
}


def find(path: Path) -> list[Path]:
    """Return the files to load: the file at ``path``, or all JSON files in the folder ``path``.

    Raises NotFound if there are none.
    """
    found = sorted(path.glob("*.json")) if path.is_dir() else [path]
    if not found or not all(file.is_file() for file in found):
        raise errors.NotFound(
            f"{path} is neither a file nor a folder with files *.json."
        )
    return found


def read(path: Path) -> Tree:
    """Read a JSON file, check the namespace in it, and return the checked values.

    Raises ImageError if the file cannot be read or has no valid namespace.
    """
    try:
        document = orjson.loads(path.read_bytes())
    except OSError as error:
        raise errors.Invalid(f"The file cannot be read: {error.strerror}.") from None
    except ValueError:
        raise errors.Invalid("The file is not JSON.") from None
    return clean_namespace(_without_nulls(document))


def _without_nulls(value: Any) -> Any:
    """Return a JSON value without members that are null: Glance exports unset values as null."""
    if isinstance(value, dict):
        return {key: _without_nulls(it) for key, it in value.items() if it is not None}
    if isinstance(value, list):
        return [_without_nulls(it) for it in value]
    return value


def load(tree: Tree, merge: Merge = Merge.SKIP) -> str:
    """Write a namespace to the database; ``merge`` decides about a namespace that exists already.

    Returns what was done: ``created``, ``skipped``, ``merged`` or ``overwritten``.
    """
    name = tree.fields["namespace"]
    with transaction.atomic():
        rows = MetadefNamespace.objects.select_for_update()
        namespace = rows.filter(namespace=name).first()
        if namespace is None:
            fill(insert(tree.fields), tree)
            return "created"
        if merge == Merge.ADD:
            fill(namespace, _missing(with_content(namespace), tree))
        elif merge != Merge.SKIP:
            _set_fields(namespace, tree)
            if merge == Merge.OVERWRITE:
                _delete_all(namespace)
            else:
                _delete_named(namespace, tree)
            fill(namespace, tree)
        return _OUTCOMES[merge]


def create(document: Mapping[str, Any]) -> MetadefNamespace:
    """Create a namespace with its content from a document; null is the same as no value.

    Raises Conflict if its name is taken, and the errors of ``clean_namespace``.
    """
    tree = clean_namespace(_given(document))
    with transaction.atomic():
        namespace = insert(tree.fields)
        fill(namespace, tree)
    return namespace


def change(namespace: MetadefNamespace, changes: Mapping[str, Any]) -> MetadefNamespace:
    """Replace the attributes and parts of the content of a namespace that ``changes`` has.

    Null removes a value. All other values stay as they are in the database at that time. Raises
    NotFound if the namespace was deleted, and the errors of ``clean_namespace``.
    """
    with transaction.atomic():
        rows = MetadefNamespace.objects.select_for_update()
        locked = rows.filter(pk=namespace.pk).first()
        if locked is None:
            raise errors.NotFound(f"Namespace {namespace.namespace} not found.")
        document = document_of(with_content(locked))
        load(clean_namespace(_given({**document, **changes})), Merge.OVERWRITE)
    return locked


def _given(document: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in document.items() if value is not None}


def _set_fields(namespace: MetadefNamespace, tree: Tree) -> None:
    for column, value in tree.fields.items():
        setattr(namespace, column, value)
    namespace.updated_at = timezone.now()
    namespace.save(update_fields=[*tree.fields, "updated_at"])


def _missing(namespace: MetadefNamespace, tree: Tree) -> Tree:
    """Return the part of ``tree`` that a namespace lacks.

    It has the associations, objects, properties and tags whose names the namespace does not
    have.
    """
    types = {it.resource_type.name for it in namespace.associations.all()}
    objects = {it.name for it in namespace.metadef_objects.all()}
    properties = {it.name for it in namespace.properties.all()}
    tags = {tag_key(it.name) for it in namespace.tags.all()}
    return Tree(
        tree.fields,
        [it for it in tree.associations if it["name"] not in types],
        [it for it in tree.objects if it["name"] not in objects],
        {name: it for name, it in tree.properties.items() if name not in properties},
        [name for name in tree.tags if tag_key(name) not in tags],
    )


def _delete_named(namespace: MetadefNamespace, tree: Tree) -> None:
    """Delete each association, object, property and tag of a namespace whose name ``tree`` has."""
    types = [it["name"] for it in tree.associations]
    tags = {tag_key(name) for name in tree.tags}
    same_tags = [it.pk for it in namespace.tags.all() if tag_key(it.name) in tags]
    namespace.associations.filter(resource_type__name__in=types).delete()
    names = [it["name"] for it in tree.objects]
    namespace.metadef_objects.filter(name__in=names).delete()
    namespace.properties.filter(name__in=tree.properties).delete()
    namespace.tags.filter(pk__in=same_tags).delete()


def _delete_all(namespace: MetadefNamespace) -> None:
    namespace.associations.all().delete()
    namespace.metadef_objects.all().delete()
    namespace.properties.all().delete()
    namespace.tags.all().delete()


def all_namespaces(names: Sequence[str] = ()) -> list[MetadefNamespace]:
    """Return the namespaces with these names, or all namespaces, with their content.

    Raises NotFound for an unknown name.
    """
    rows = MetadefNamespace.objects.prefetch_related(*CONTENT).order_by("namespace")
    if names:
        rows = rows.filter(namespace__in=names)
    found = list(rows)
    missing = sorted(set(names) - {it.namespace for it in found})
    if missing:
        raise errors.NotFound(f"Namespace {', '.join(missing)} not found.")
    return found


def file_name(namespace: MetadefNamespace, taken: set[str]) -> str:
    """Return a name for the file of a namespace that no other file has.

    ``taken`` has the names of the other files, in lower case.
    """
    stem = _ODD.sub("-", namespace.namespace).lstrip(".-") or "namespace"
    name = f"{stem}.json"
    return f"{stem}-{namespace.pk}.json" if name.lower() in taken else name


def write(namespace: MetadefNamespace, path: Path) -> None:
    """Write a namespace with its content to a JSON file, which appears only when it is complete."""
    content = orjson.dumps(document_of(namespace), option=orjson.OPT_INDENT_2)
    part = path.with_name(f"{path.name}.part")
    part.write_bytes(content + b"\n")
    os.replace(part, path)
