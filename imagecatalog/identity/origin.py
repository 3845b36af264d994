"""Where a request came from, for the sign-in log and for throttling."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest

from images.http import client_address


@dataclass(frozen=True)
class Origin:
    """Client address and request id of a request, or the name of another source."""

    source: str = ""  # address
    request_id: str = ""


def origin_of(request: HttpRequest) -> Origin:
    """The origin of a request, as proxies report it."""
    return Origin(client_address.client(request), request.request_id)  # type: ignore[attr-defined]
