"""The metrics of a web process: its requests, the transfers of clients, and its database pool."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from django.contrib.admindocs.views import simplify_regex
from django.db import connection

from images import process_metrics
from images.transfers import concurrency

METHODS: Final = {"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"}
INTERFACE: Final = re.compile(r"/(v1|v2|catalog|identity|admin)(?:\.[0-9]+)?(?:/|$)")
PROBES: Final = {"/healthcheck", "/healthz", "/livez", "/readyz"}
OTHER: Final = "other"


def answered(
    method: str, path: str, status: int, seconds: float, route: str = ""
) -> None:
    """Count an answered request in the metrics, by interface, method and class of status.

    ``seconds`` is the time from the complete arrival of the request to the end of the response. The
    metrics also sum it up by ``route``, Django's pattern for the path; empty if no view was chosen.
    """
    labels = _labels(method, path, status)
    process_metrics.count("http_requests_total", *labels)
    process_metrics.observe("http_request_duration_seconds", seconds, *labels)
    if route:
        named = labels[1], _without_patterns(route)
        process_metrics.observe("http_route_duration_seconds", seconds, *named)


@lru_cache(maxsize=1000)
def _without_patterns(route: str) -> str:
    """Return a route with names in place of patterns, such as ``/v2/images/<image_id>/file``."""
    return simplify_regex(route)


def refused(method: str, path: str, status: int) -> None:
    """Count in the metrics a request that was refused before it reached Django.

    ``path`` is empty if it is unknown.
    """
    process_metrics.count("http_requests_total", *_labels(method, path, status))


def _labels(method: str, path: str, status: int) -> tuple[str, str, str]:
    named = method if method in METHODS else OTHER
    return interface(path), named, f"{status // 100}xx"


def interface(path: str) -> str:
    """Return the interface to which a URL path belongs: ``v2``, ``admin`` …, ``probe`` or ``other``."""
    if match := INTERFACE.match(path):
        return match[1]
    return "probe" if path in PROBES else OTHER


def publish(in_progress: int, waiting: int) -> None:
    """Set the gauges of this process in the metrics: requests, transfers and database connections.

    ``waiting`` requests wait for a thread, and ``in_progress`` requests are being answered.
    """
    process_metrics.show("http_requests_in_progress", in_progress)
    process_metrics.show("http_requests_waiting", waiting)
    for holds, shares in (
        ("thread", concurrency.shares()),
        ("connection", concurrency.sent_shares()),
    ):
        process_metrics.show("client_transfers_running", shares.running, holds)
        process_metrics.show("client_transfers_limit", shares.places, holds)
    if pool := getattr(connection, "pool", None):
        process_metrics.show("database_pool_connections", pool.used, "used")
        process_metrics.show("database_pool_connections", pool.idle, "idle")
        process_metrics.show("database_pool_limit", pool.size)
        process_metrics.show("database_pool_waiting", pool.waiting)
