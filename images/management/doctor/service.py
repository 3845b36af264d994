"""Checks of the background worker, proxies, Keystone and backups."""

from __future__ import annotations

import urllib.error
import urllib.request
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

from django.conf import settings
from django.utils import timezone

from images import pause
from images.backups import folders
from images.console import iso
from images.management.doctor.result import FAIL, Result, fail, ok, warn
from images.operations import health

TIMEOUT = 5.0  # seconds
OLD = timedelta(days=2)


def worker() -> Iterator[Result]:
    """Report whether a background worker runs, and whether the workers are paused."""
    if problem := health.problem():
        yield Result("worker", FAIL, problem)  # `problem` also says what to do
    else:
        yield ok("worker", "a background worker has reported")
    if paused := pause.current():
        yield warn(
            "worker",
            f"paused since {iso(paused['since'])}: {paused['reason']}",
            "Read the report of `image_reconcile`, then run `worker_resume`.",
        )


def proxies() -> Iterator[Result]:
    """Report whether IMAGECATALOG_PUBLIC_URL leads to this service, and proxies are trusted."""
    url = settings.IMAGECATALOG_PUBLIC_URL
    if not url:
        yield ok("proxies", "IMAGECATALOG_PUBLIC_URL is not set: no proxy is expected")
        return
    if reason := _failure(f"{url}/livez", b"OK"):
        yield fail(
            "proxies",
            f"{url} does not lead to the service: {reason}",
            "Start `serve` and the proxy, or correct IMAGECATALOG_PUBLIC_URL.",
        )
    else:
        yield ok("proxies", f"{url} leads to the service")
    if not settings.IMAGECATALOG_TRUSTED_PROXIES:
        yield warn(
            "proxies",
            "IMAGECATALOG_TRUSTED_PROXIES is empty",
            "Name the proxies: all clients otherwise seem to have the address of the proxy, and "
            "one who guesses passwords locks everybody out.",
        )


def keystone() -> Iterator[Result]:
    """Report whether Keystone answers, if IMAGECATALOG_AUTH is ``keystone``."""
    if settings.IMAGECATALOG_AUTH != "keystone":
        return
    url = settings.IMAGECATALOG_KEYSTONE_URL
    if reason := _failure(url, b"version"):
        advice = "Start Keystone, or correct IMAGECATALOG_KEYSTONE_URL."
        yield fail("keystone", f"{url}: {reason}", advice)
    else:
        yield ok("keystone", f"{url} answers")


def _failure(url: str, expected: bytes) -> str | None:
    """Return why a GET of ``url`` fails or its response lacks ``expected``; None if it succeeds."""
    try:
        with urllib.request.urlopen(url, timeout=TIMEOUT) as answer:
            body: bytes = answer.read(1 << 16)
    except urllib.error.HTTPError as error:
        error.close()
        return f"{error.code} {error.reason}"
    except (OSError, ValueError) as error:
        return str(getattr(error, "reason", error))
    return None if expected in body else "something else answers"


def backups() -> Iterator[Result]:
    """Report the age of the newest backup in IMAGECATALOG_BACKUP_DIR."""
    folder = settings.IMAGECATALOG_BACKUP_DIR
    advice = "Run `backup` every day, see docs/backup.md."
    if not folder:
        yield warn("backup", "IMAGECATALOG_BACKUP_DIR is not set", f"Set it. {advice}")
        return
    newest = next(reversed(folders.existing(Path(folder))), None)
    if newest is None:
        yield fail("backup", f"there is none in {folder}", advice)
        return
    begun_at = folders.begun_at(newest)
    text = f"the newest is of {iso(begun_at)}"
    if timezone.now() - begun_at > OLD:
        yield fail("backup", text, advice)
    else:
        yield ok("backup", text)
