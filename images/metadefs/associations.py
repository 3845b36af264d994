"""Associations of namespaces with types of resources, such as images or volumes."""

from __future__ import annotations

from collections.abc import Iterable

from django.db import transaction

from images import access, errors
from images.access import Caller
from images.metadefs.documents import Values
from images.metadefs.namespaces import WITH_TYPES, check_unprotected, resource_types
from images.models import MetadefAssociation, MetadefResourceType


def all_resource_types(caller: Caller) -> list[MetadefResourceType]:
    """Return all types of resources with which a namespace is or was associated.

    Raises Forbidden if the caller is not allowed to list them.
    """
    access.check_metadef_list(caller, "list_metadef_resource_types")
    return list(MetadefResourceType.objects.order_by("name"))


def get_all(caller: Caller, namespace: str) -> list[MetadefAssociation]:
    """Return the associations of a namespace, each with its resource type.

    Raises NotFound if the caller cannot see the namespace, Forbidden if the action is not
    allowed.
    """
    rules = ("get_metadef_resource_type", "list_metadef_resource_types")
    found = access.get_namespace(caller, namespace, *rules)
    return list(WITH_TYPES.filter(namespace=found))


def add(caller: Caller, namespace: str, values: Values) -> MetadefAssociation:
    """Associate a namespace with a resource type, and return the association.

    The resource type is created if it does not exist. Raises NotFound, Forbidden, and Conflict
    if the namespace is already associated with the type.
    """
    rule, name = "add_metadef_resource_type_association", values["name"]
    with transaction.atomic():
        found = access.get_namespace(caller, namespace, rule, lock=True)
        kind = resource_types([name])[name]
        if found.associations.filter(resource_type=kind).exists():
            raise errors.Conflict(
                f"The namespace has the resource type {name} already."
            )
        return found.associations.create(
            resource_type=kind,
            prefix=values["prefix"],
            properties_target=values["properties_target"],
        )


def delete(caller: Caller, namespace: str, name: str) -> None:
    """Remove the association of a namespace with the resource type ``name``; keep the type.

    Raises NotFound if there is no such association, Forbidden if the namespace is protected.
    """
    rule = "remove_metadef_resource_type_association"
    with transaction.atomic():
        found = access.get_namespace(caller, namespace, rule, lock=True)
        association = found.associations.filter(resource_type__name=name).first()
        if association is None:
            raise _missing(name)
        check_unprotected(found)
        association.delete()


def prefix(associations: Iterable[MetadefAssociation], name: str) -> str:
    """Return the prefix that property names have on resources of the type ``name``.

    Raises NotFound if no association is with this type.
    """
    for association in associations:
        if association.resource_type.name == name:
            return association.prefix
    raise _missing(name)


def _missing(name: str) -> errors.NotFound:
    return errors.NotFound(f"The namespace has no resource type {name[:100]}.")
