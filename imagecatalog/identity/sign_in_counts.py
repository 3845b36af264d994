"""Counts of sign-ins by method and result, for the metrics."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from images import errors, process_metrics


def accepted(method: str) -> None:
    """Count an accepted sign-in by ``method``, such as ``password``, in the metrics.

    It had a right password, secret or code, or came from an identity provider.
    """
    _count(method, "accepted")


def refused(method: str) -> None:
    """Count a refused sign-in by ``method``, such as ``password``, in the metrics.

    It had a wrong password, secret or code, or the account has no access.
    """
    _count(method, "refused")


def throttled(method: str) -> None:
    """Count a throttled sign-in by ``method``, such as ``password``, in the metrics.

    A throttled sign-in is refused without a check, because there were too many attempts before it.
    """
    _count(method, "throttled")


@contextmanager
def counting_throttled(method: str) -> Iterator[None]:
    """A context manager that counts a sign-in as throttled if its body raises TooManyAttempts.

    ``method`` is the method of the sign-in, such as ``password``.
    """
    try:
        yield
    except errors.TooManyAttempts:
        throttled(method)
        raise


def _count(method: str, result: str) -> None:
    labels = method.replace(" ", "_"), result
    process_metrics.count("sign_ins_total", *labels)
