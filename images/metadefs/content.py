"""The content of a namespace: objects, properties and tags.

Each change locks the namespace, so that its changes happen one after the other.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from django.db import transaction
from django.db.models import QuerySet
from django.utils import timezone

from images import access, errors
from images.access import Caller
from images.metadefs.documents import Values, tag_key
from images.metadefs.namespaces import check_unprotected
from images.models import (
    MetadefNamespace,
    MetadefObject,
    MetadefProperty,
    MetadefTag,
    positions,
)

TAG_SORT_KEYS: Final = ("created_at", "updated_at", "name", "id")


class Kind(NamedTuple):
    """A kind of content of a namespace: objects, properties or tags.

    ``noun`` is its name in messages. The fields from ``show`` to ``delete_all`` name the access
    rules for these actions. Two names are equal if ``key`` returns the same text for both.
    """

    model: type[Any]
    noun: str
    show: str
    show_all: str
    add: str
    modify: str
    delete: str
    delete_all: tuple[str, ...]
    key: Callable[[str], str] = str


OBJECTS: Final = Kind(
    MetadefObject,
    "object",
    "get_metadef_object",
    "get_metadef_objects",
    "add_metadef_object",
    "modify_metadef_object",
    "delete_metadef_object",
    ("delete_metadef_namespace",),
)
PROPERTIES: Final = Kind(
    MetadefProperty,
    "property",
    "get_metadef_property",
    "get_metadef_properties",
    "add_metadef_property",
    "modify_metadef_property",
    "remove_metadef_property",
    ("delete_metadef_namespace",),
)
TAGS: Final = Kind(
    MetadefTag,
    "tag",
    "get_metadef_tag",
    "get_metadef_tags",
    "add_metadef_tag",
    "modify_metadef_tag",
    "delete_metadef_tag",
    ("delete_metadef_namespace", "delete_metadef_tags"),
    tag_key,
)


def get_all(caller: Caller, namespace: str, kind: Kind) -> list[Any]:
    """Return all objects, properties or tags of a namespace, in the order of their creation.

    ``kind`` says which of them. Raises NotFound, and Forbidden if the action is not allowed.
    """
    found = access.get_namespace(caller, namespace, kind.show_all)
    return list(_rows(found, kind).order_by("pk"))


def get(caller: Caller, namespace: str, kind: Kind, name: str) -> Any:
    """Return the object, property or tag with this name in a namespace.

    Raises NotFound if the caller cannot see the namespace, or it has nothing with this name;
    Forbidden if the action is not allowed.
    """
    found = access.get_namespace(caller, namespace, kind.show)
    return _find(_rows(found, kind), kind, name)


def add(caller: Caller, namespace: str, kind: Kind, values: Values) -> Any:
    """Add an object, property or tag with these values to a namespace, and return it.

    Raises NotFound, Forbidden, and Conflict if the namespace has one with this name already.
    """
    with transaction.atomic():
        found = access.get_namespace(caller, namespace, kind.add, lock=True)
        _check_free(_rows(found, kind), kind, [values["name"]])
        return kind.model.objects.create(namespace=found, **values)


def change(
    caller: Caller, namespace: str, kind: Kind, name: str, values: Values
) -> Any:
    """Set all values of the object, property or tag with this name, and return it.

    Raises NotFound, Forbidden, and Conflict if the new name is taken.
    """
    with transaction.atomic():
        found = access.get_namespace(caller, namespace, kind.modify, lock=True)
        rows = _rows(found, kind)
        row = _find(rows, kind, name)
        _check_free(rows.exclude(pk=row.pk), kind, [values["name"]])
        for column, value in values.items():
            setattr(row, column, value)
        row.updated_at = timezone.now()
        row.save(update_fields=[*values, "updated_at"])
    return row


def delete(caller: Caller, namespace: str, kind: Kind, name: str) -> None:
    """Delete the object, property or tag with this name.

    Raises NotFound, and Forbidden if the action is not allowed or the namespace is protected.
    """
    with transaction.atomic():
        found = access.get_namespace(caller, namespace, kind.delete, lock=True)
        row = _find(_rows(found, kind), kind, name)
        check_unprotected(found)
        row.delete()


def delete_all(caller: Caller, namespace: str, kind: Kind) -> None:
    """Delete all objects, properties or tags of a namespace.

    ``kind`` says which of them. Raises NotFound, and Forbidden if the namespace is protected.
    """
    with transaction.atomic():
        found = access.get_namespace(caller, namespace, *kind.delete_all, lock=True)
        check_unprotected(found)
        _rows(found, kind).delete()


def add_tags(
    caller: Caller, namespace: str, names: Sequence[str], *, append: bool
) -> None:
    """Add tags with these names to a namespace; without ``append`` they replace its tags.

    Raises NotFound, Forbidden, and Conflict if the name of an appended tag is taken.
    """
    with transaction.atomic():
        found = access.get_namespace(caller, namespace, "add_metadef_tags", lock=True)
        rows = _rows(found, TAGS)
        if append:
            _check_free(rows, TAGS, names)
        else:
            rows.delete()
        MetadefTag.objects.bulk_create(
            MetadefTag(namespace=found, name=name) for name in names
        )


def tag_page(
    caller: Caller,
    namespace: str,
    sort: tuple[str, bool],
    marker: str | None,
    limit: int | None,
) -> list[MetadefTag]:
    """Return up to ``limit`` tags of a namespace, after the tag named ``marker`` if it is given.

    ``sort`` is a column, and whether the order is descending. Raises NotFound if the namespace
    has no tag with the name ``marker``.
    """
    found = access.get_namespace(caller, namespace, TAGS.show_all)
    rows: QuerySet[MetadefTag] = _rows(found, TAGS)
    column, descending = sort
    direction = "-" if descending else ""
    if marker is not None:
        last = _find(rows, TAGS, marker)
        value = getattr(last, column)
        rows = rows.filter(positions.after(column, descending, value, "pk", last.pk))
    return list(rows.order_by(f"{direction}{column}", f"{direction}pk")[:limit])


def _rows(namespace: MetadefNamespace, kind: Kind) -> QuerySet[Any]:
    rows: QuerySet[Any] = kind.model.objects.filter(namespace=namespace)
    return rows


def _find(rows: QuerySet[Any], kind: Kind, name: str) -> Any:
    row = rows.filter(name=name).first()
    if row is None:
        raise errors.NotFound(f"The namespace has no {kind.noun} {name[:100]}.")
    return row


def _check_free(rows: QuerySet[Any], kind: Kind, names: Sequence[str]) -> None:
    """Raise Conflict if one of the objects, properties or tags ``rows`` has one of these names."""
    taken = rows.values_list("name", flat=True)
    keys = {kind.key(name) for name in taken}
    for name in names:
        if kind.key(name) in keys:
            raise errors.Conflict(f"The namespace has the {kind.noun} {name} already.")
