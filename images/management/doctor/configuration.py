"""Checks of the settings, by means of Django's system checks."""

from __future__ import annotations

import platform
from collections.abc import Iterator

from django.conf import settings
from django.core.checks import ERROR, CheckMessage, run_checks

from images.console import CONFIGURATION
from images.management.doctor.result import Result, fail, ok, warn


def release() -> Iterator[Result]:
    """Yield the release and the version of Python, or a warning if Python should be updated."""
    found = f"imagecatalog {settings.IMAGECATALOG_VERSION}, Python {platform.python_version()}"
    messages = run_checks(tags=["interpreter"], include_deployment_checks=True)
    yield from (_result("release", message) for message in messages)
    if not messages:
        yield ok("release", found)


def variables() -> Iterator[Result]:
    """Yield a result for each problem that Django's system checks find in settings and their files.

    Yields one good result if there is no problem.
    """
    messages = run_checks(tags=[CONFIGURATION])
    yield from (_result("settings", message) for message in messages)
    if not messages:
        yield ok("settings", "all variables are known, and their files can be read")


def _result(check: str, message: CheckMessage) -> Result:
    judge = fail if message.level >= ERROR else warn
    advice = message.hint or "See the page Configuration of the documentation."
    return judge(check, message.msg, advice)
