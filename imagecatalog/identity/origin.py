"""The origin of a request, for the sign-in log and for throttling."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from images.http import client_address


@dataclass(frozen=True)
class Origin:
    """Client address and request id of a request, or the name of another source."""

    source: str = ""  # the address of the client
    request_id: str = ""


def origin_of(request: HttpRequest) -> Origin:
    """Return the origin of a request, with the address that trusted proxies report."""
    return Origin(client_address.client(request), request.request_id)  # type: ignore[attr-defined]
