"""Counts of sign-ins by method and result, for the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from images import errors, process_metrics


def accepted(method: str) -> None:
    """Count a right password, secret or code, or a sign-in at an identity provider."""
    _count(method, "accepted")


def refused(method: str) -> None:
    """Count a wrong password, secret or code, or an account without access."""
    _count(method, "refused")


def throttled(method: str) -> None:
    """Count an attempt that is not checked, because there were too many before it."""
    _count(method, "throttled")


@contextmanager
def counting_throttled(method: str) -> Iterator[None]:
    """Count an attempt as throttled if TooManyAttempts is raised within the context."""
    try:
        yield
    except errors.TooManyAttempts:
        throttled(method)
        raise


def _count(method: str, result: str) -> None:
    labels = method.replace(" ", "_"), result
    process_metrics.count("sign_ins_total", *labels)
