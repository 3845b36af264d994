"""The caller of an operation: user, project, roles and interface."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from images import logs

# A role implies others, as in Keystone.
IMPLIED = {
    "admin": frozenset({"admin", "member", "reader"}),
    "member": frozenset({"member", "reader"}),
}

INTERFACES = ("v1", "v2", "catalog", "admin", "command", "worker")


@dataclass(frozen=True)
class Caller:
    """The user on whose behalf a request is made, with project, roles and interface.

    ``interface`` is one of INTERFACES. ``project`` is the id of the project, or None.
    """

    user: str
    project: str | None
    roles: frozenset[str]
    interface: str = ""
    request_id: str = ""
    # The rules to which an application credential restricts the caller; None: no restriction.
    actions: frozenset[str] | None = None
    # The roles of the service that passes the request on, such as Nova; they count only for
    # the protections of properties.
    service_roles: frozenset[str] = frozenset()
    # Details of all events of the caller, such as the run of a policy for which it acts.
    detail: Mapping[str, str] = field(default_factory=dict, compare=False)

    @property
    def is_admin(self) -> bool:
        """Whether the caller has the role ``admin``."""
        return "admin" in self.roles

    @property
    def is_service(self) -> bool:
        """Whether the caller has the role ``service``, which other services such as Nova have."""
        return "service" in self.roles

    @property
    def log_context(self) -> logs.Context:
        """The request id, user, project and interface of the caller, as log records show them."""
        project = self.project or ""
        return logs.Context(self.request_id, self.user, project, self.interface)


def implied(*roles: str) -> frozenset[str]:
    """Return these roles and all roles that they imply: admin implies member, member implies reader."""
    return frozenset().union(*(IMPLIED.get(role, {role}) for role in roles))


def operator(interface: str) -> Caller:
    """Return the caller for commands and the background worker, who has every permission.

    ``interface`` is ``command`` or ``worker``.
    """
    return Caller(user="", project=None, roles=implied("admin"), interface=interface)


def visitor(project: str = "", role: str = "reader") -> Caller:
    """Return a caller that has no user, but one role, and the roles that it implies, in a project.

    Readers of published families are such callers. If ``project`` is empty, the caller has no
    project, and sees only what all projects see.
    """
    return Caller("", project or None, implied(role), "catalog")


def staff(user: str, request_id: str) -> Caller:
    """Return the caller for a staff user of the browser admin, who has the role ``admin``.

    Check the user's Django permissions before: nothing else restricts this caller. ``request_id``
    is the id of the request, for the log and the history.
    """
    return Caller(user, None, implied("admin"), "admin", request_id)
