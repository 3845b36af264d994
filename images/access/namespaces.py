"""Permissions for namespaces of metadata definitions: what a caller can see and do."""

from __future__ import annotations

from collections.abc import Sequence

from django.db.models import Q, QuerySet

from images import errors
from images.access.caller import Caller
from images.access.rules import Target, check, check_shown, shown
from images.models import MetadefNamespace, NamespaceVisibility

SHOW = "get_metadef_namespace"


def seen_namespaces(caller: Caller) -> QuerySet[MetadefNamespace]:
    """Return the namespaces that a caller can see: public ones and those of the caller's project.

    Admins see all of them. Rules are not checked, so the policy file has no effect here.
    """
    namespaces = MetadefNamespace.objects.all()
    if caller.is_admin:
        return namespaces
    if "reader" not in caller.roles:
        return namespaces.none()
    return namespaces.filter(namespaces_of(caller.project))


def namespaces_of(project: str | None) -> Q:
    """Return the query condition for the namespaces that a project sees: all public and its own."""
    public = Q(visibility=NamespaceVisibility.PUBLIC)
    return public | Q(owner=project) if project else public


def shown_namespaces(
    caller: Caller, page: Sequence[MetadefNamespace]
) -> list[MetadefNamespace]:
    """Return the namespaces of ``page`` that the policy file does not hide from the caller."""
    return shown(caller, page, SHOW, namespace_target)


def get_namespace(
    caller: Caller, name: str, *actions: str, lock: bool = False
) -> MetadefNamespace:
    """Return a namespace, after checking that the caller is allowed all ``actions`` on it.

    Without ``actions``, only the permission to see the namespace is checked. With ``lock`` the
    row is locked until the end of the transaction. Raises NotFound if the caller cannot see the
    namespace, Forbidden if an action is not allowed.
    """
    namespaces = seen_namespaces(caller)
    if lock:
        namespaces = namespaces.select_for_update()
    namespace = namespaces.filter(namespace=name).first()
    if namespace is None:
        raise missing_namespace(name)
    target = namespace_target(namespace)
    check_shown(caller, target, SHOW, missing_namespace(name), *(actions or (SHOW,)))
    return namespace


def check_metadef_list(caller: Caller, *actions: str) -> None:
    """Raise Forbidden unless the caller is allowed all ``actions``.

    It is for actions that concern no single namespace, such as listing the namespaces.
    """
    for action in actions:
        check(
            caller, action, new_namespace(caller.project, NamespaceVisibility.PRIVATE)
        )


def namespace_target(namespace: MetadefNamespace) -> Target:
    """Return the values of a namespace against which rules are checked."""
    target = new_namespace(namespace.owner, namespace.visibility)
    return {**target, "namespace": namespace.namespace}


def new_namespace(owner: str | None, visibility: str) -> Target:
    """Return the values against which rules are checked for a namespace that is to be created."""
    return {"owner": owner or None, "visibility": visibility}


def missing_namespace(name: str) -> errors.NotFound:
    """Return the error for a namespace that does not exist or that the caller cannot see."""
    return errors.NotFound(f"Namespace {name[:100]} not found.")
