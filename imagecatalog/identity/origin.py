"""The origin of a sign-in, such as the client's address, for the sign-in log and limits on attempts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.http import HttpRequest

from images.http import client_address


@dataclass(frozen=True)
class Origin:
    """The origin of a sign-in or change: client address and request id, or a name such as "console"."""

    source: str = ""  # the address of the client
    request_id: str = ""

    @cached_property
    def network(self) -> str:
        """The address of the client; for IPv6 its /64 network, which belongs to one client."""
        return client_address.network_of(self.source)


NOWHERE = Origin()


def origin_of(request: HttpRequest) -> Origin:
    """Return the origin of a request, with the client address that trusted proxies report."""
    return Origin(client_address.client(request), request.request_id)  # type: ignore[attr-defined]
