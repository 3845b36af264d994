"""The time zone in which the admin shows times: that of the reader's browser, else UTC."""

from __future__ import annotations

import zoneinfo
from collections.abc import Callable
from datetime import UTC, tzinfo
from functools import cache
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.utils import timezone

COOKIE: Final = "time_zone"  # set by images/static/images/frame.js
GetResponse = Callable[[HttpRequest], HttpResponse]


def in_time_zone_of_reader(get_response: GetResponse) -> GetResponse:
    """Middleware that lets pages show, and forms read, times in the time zone of the browser.

    The browser tells the name of the zone in a cookie. Without a known name the zone is UTC.
    """

    def middleware(request: HttpRequest) -> HttpResponse:
        with timezone.override(_zone(request.COOKIES.get(COOKIE, ""))):
            return get_response(request)

    return middleware


def _zone(name: str) -> tzinfo:
    # Only known names: others could be paths, or names of folders of the database of zones.
    return zoneinfo.ZoneInfo(name) if name in _known() else UTC


@cache
def _known() -> frozenset[str]:
    return frozenset(zoneinfo.available_timezones())
