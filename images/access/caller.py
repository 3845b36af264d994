"""Callers: who makes a request, with which roles, through which interface."""

from __future__ import annotations

from dataclasses import dataclass

# Each role includes the ones it stands for, as in Keystone.
IMPLIED = {
    "admin": frozenset({"admin", "member", "reader"}),
    "member": frozenset({"member", "reader"}),
}

INTERFACES = ("v1", "v2", "admin", "command", "worker")


@dataclass(frozen=True)
class Caller:
    """Somebody who asks, and through which of the DOORS."""

    user: str
    project: str | None
    roles: frozenset[str]
    interface: str = ""
    request_id: str = ""
    # Names of rules, of whom signed in with a key that is for these and nothing else.
    actions: frozenset[str] | None = None

    @property
    def is_admin(self) -> bool:
        return "admin" in self.roles


def implied(*roles: str) -> frozenset[str]:
    """The roles with those that they include."""
    return frozenset().union(*(IMPLIED.get(role, {role}) for role in roles))


def operator(interface: str) -> Caller:
    """The one at the console, and the background worker: they may everything."""
    return Caller(user="", project=None, roles=implied("admin"), interface=interface)


def staff(user: str, request_id: str) -> Caller:
    """Who has signed in to the admin. What they may is asked by Django's permissions before."""
    return Caller(user, None, implied("admin"), "admin", request_id)
