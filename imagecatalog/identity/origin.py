"""The origin of a request, for the sign-in log and for throttling."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

from django.http import HttpRequest

from images.http import client_address


@dataclass(frozen=True)
class Origin:
    """Client address and request id of a request, or the name of another source."""

    source: str = ""  # the address of the client
    request_id: str = ""

    @cached_property
    def network(self) -> str:
        """The address, or the /64 network of an IPv6 address, which one client has to itself."""
        return client_address.network_of(self.source)


NOWHERE = Origin()


def origin_of(request: HttpRequest) -> Origin:
    """Return the origin of a request, with the address that trusted proxies report."""
    return Origin(client_address.client(request), request.request_id)  # type: ignore[attr-defined]
