"""Namespaces of metadata definitions: lists, creation, changes, deletion."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

from django.db import IntegrityError, transaction
from django.db.models import Prefetch, Q, QuerySet, prefetch_related_objects
from django.utils import timezone

from images import access, errors
from images.access import Caller
from images.metadefs.documents import Tree
from images.models import (
    MetadefAssociation,
    MetadefNamespace,
    MetadefObject,
    MetadefProperty,
    MetadefResourceType,
    MetadefTag,
    positions,
)

SORT_KEYS: Final = (
    "created_at",
    "updated_at",
    "namespace",
    "display_name",
    "visibility",
    "protected",
    "owner",
    "id",
)
WITH_TYPES: Final = MetadefAssociation.objects.select_related("resource_type").order_by(
    "pk"
)
ASSOCIATIONS: Final = Prefetch("associations", WITH_TYPES)
CONTENT: Final = (
    ASSOCIATIONS,
    Prefetch("metadef_objects", MetadefObject.objects.order_by("pk")),
    Prefetch("properties", MetadefProperty.objects.order_by("pk")),
    Prefetch("tags", MetadefTag.objects.order_by("pk")),
)


@dataclass(frozen=True)
class NamespaceListing:
    """The parameters of a page of namespaces: filters, order, marker and limit."""

    visibility: str | None = None
    resource_types: Sequence[str] = ()  # empty: all resource types
    sort: tuple[str, bool] = ("created_at", True)  # (column, descending)
    marker: str | None = None  # name of the last namespace of the previous page
    limit: int = 25


class NamespacePage(NamedTuple):
    """A page of namespaces with their associations, and the marker for the next page, if there is one."""

    namespaces: list[MetadefNamespace]
    marker: str | None  # None: this is the last page


def page(caller: Caller, listing: NamespaceListing) -> NamespacePage:
    """Return a page of the namespaces that a caller can see.

    The page can be shorter than its limit if the policy file overrides the rule
    get_metadef_namespace. Raises NotFound if the caller sees no namespace with the name
    ``marker``.
    """
    if not listing.limit:
        return NamespacePage([], None)
    namespaces = _matching(caller, listing)
    if listing.marker:
        marker = access.get_namespace(caller, listing.marker)
        namespaces = namespaces.filter(_after(marker, listing))
    while True:
        found = list(namespaces[: listing.limit])
        shown = access.shown_namespaces(caller, found)
        if len(found) < listing.limit:
            return NamespacePage(shown, None)
        if shown:
            return NamespacePage(shown, shown[-1].namespace)
        # The link to the next page must not name a namespace that the caller cannot see.
        namespaces = namespaces.filter(_after(found[-1], listing))


def _matching(caller: Caller, listing: NamespaceListing) -> QuerySet[MetadefNamespace]:
    namespaces = access.seen_namespaces(caller).prefetch_related(ASSOCIATIONS)
    if listing.visibility:
        namespaces = namespaces.filter(visibility=listing.visibility)
    if listing.resource_types:
        types = MetadefAssociation.objects.filter(
            resource_type__name__in=listing.resource_types
        )
        namespaces = namespaces.filter(pk__in=types.values("namespace"))
    column, descending = listing.sort
    direction = "-" if descending else ""
    return namespaces.order_by(f"{direction}{column}", f"{direction}pk")


def _after(marker: MetadefNamespace, listing: NamespaceListing) -> Q:
    column, descending = listing.sort
    return positions.after(column, descending, getattr(marker, column), "pk", marker.pk)


def show(caller: Caller, name: str, *actions: str) -> MetadefNamespace:
    """Return a namespace with its content, if the caller is allowed all ``actions`` on it.

    Raises NotFound if the caller cannot see the namespace, Forbidden if an action is not
    allowed.
    """
    return with_content(access.get_namespace(caller, name, *actions))


def with_content(namespace: MetadefNamespace) -> MetadefNamespace:
    """Load the content of a namespace in a constant number of queries; return the namespace."""
    prefetch_related_objects([namespace], *CONTENT)
    return namespace


def create(caller: Caller, tree: Tree) -> MetadefNamespace:
    """Create a namespace with its content, and return it.

    The caller's project becomes the owner unless ``tree`` has an owner. Raises Conflict if the
    name is taken, Forbidden if an action is not allowed.
    """
    fields = {"owner": caller.project or "", **tree.fields}
    target = access.new_namespace(fields["owner"], fields["visibility"])
    for action in _needed(tree):
        access.check(caller, action, target)
    with transaction.atomic():
        namespace = insert(fields)
        fill(namespace, tree)
    return with_content(namespace)


def _needed(tree: Tree) -> list[str]:
    content = {
        "add_metadef_resource_type_association": tree.associations,
        "add_metadef_object": tree.objects,
        "add_metadef_property": tree.properties,
        "add_metadef_tag": tree.tags,
    }
    actions = [action for action, values in content.items() if values]
    return ["add_metadef_namespace", *actions]


def insert(fields: Mapping[str, Any]) -> MetadefNamespace:
    """Insert and return a new namespace without content. Raises Conflict if its name is taken."""
    try:
        with transaction.atomic():
            return MetadefNamespace.objects.create(**fields)
    except IntegrityError:
        raise _taken(fields["namespace"]) from None


def fill(namespace: MetadefNamespace, tree: Tree) -> None:
    """Add the content of ``tree`` to a namespace that has nothing of the same name yet."""
    types = resource_types([it["name"] for it in tree.associations])
    MetadefAssociation.objects.bulk_create(
        MetadefAssociation(
            namespace=namespace,
            resource_type=types[it["name"]],
            prefix=it["prefix"],
            properties_target=it["properties_target"],
        )
        for it in tree.associations
    )
    MetadefObject.objects.bulk_create(
        MetadefObject(namespace=namespace, **it) for it in tree.objects
    )
    MetadefProperty.objects.bulk_create(
        MetadefProperty(namespace=namespace, name=name, schema=schema)
        for name, schema in tree.properties.items()
    )
    MetadefTag.objects.bulk_create(
        MetadefTag(namespace=namespace, name=name) for name in tree.tags
    )


def resource_types(names: Sequence[str]) -> dict[str, MetadefResourceType]:
    """Return the resource types with these names, by name; create those that do not exist."""
    types = MetadefResourceType.objects
    known = types.in_bulk(names, field_name="name")
    if missing := [name for name in names if name not in known]:
        new = [MetadefResourceType(name=name) for name in missing]
        types.bulk_create(new, ignore_conflicts=True)  # another request may be faster
        known = types.in_bulk(names, field_name="name")
    return known


def replace(caller: Caller, name: str, tree: Tree) -> MetadefNamespace:
    """Replace all attributes of a namespace, and keep its content. Returns the namespace.

    Raises NotFound, Forbidden if the action is not allowed, and Conflict if the new name is
    taken.
    """
    action = "modify_metadef_namespace"
    fields = {"owner": caller.project or "", **tree.fields}
    with transaction.atomic():
        namespace = access.get_namespace(caller, name, action, lock=True)
        target = access.new_namespace(fields["owner"], fields["visibility"])
        access.check(caller, action, target)
        for column, value in fields.items():
            setattr(namespace, column, value)
        namespace.updated_at = timezone.now()
        try:
            with transaction.atomic():
                namespace.save(update_fields=[*fields, "updated_at"])
        except IntegrityError:
            raise _taken(fields["namespace"]) from None
    return namespace


def delete(caller: Caller, name: str) -> None:
    """Delete a namespace with its content.

    Raises NotFound, and Forbidden if the action is not allowed or the namespace is protected.
    """
    with transaction.atomic():
        namespace = access.get_namespace(
            caller, name, "delete_metadef_namespace", lock=True
        )
        check_unprotected(namespace)
        namespace.delete()


def check_unprotected(namespace: MetadefNamespace) -> None:
    """Raise Forbidden if a namespace is protected: neither it nor its content can be deleted."""
    if namespace.protected:
        raise errors.Forbidden(
            f"Namespace {namespace.namespace} is protected: nothing in it can be deleted. "
            "Set protected to false first."
        )


def _taken(name: str) -> errors.Conflict:
    return errors.Conflict(f"The namespace {name} exists already.")
