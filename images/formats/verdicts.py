"""Decisions about failed safety checks: refuse the data, or accept it with a warning.

The operator names the checks whose failures are accepted in IMAGECATALOG_FORMAT_CHECKS.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import NamedTuple

from django.conf import settings

from images.errors import ContentRefused
from images.format_checks import ADVICE, RELAXABLE

log = logging.getLogger(__name__)


class Objection(NamedTuple):
    """A failed safety check: its name (see ``images.format_checks``), and what is wrong with the data."""

    check: str
    found: str


class Verdicts:
    """The decisions about the failed checks of one stream of data.

    ``label`` names the data in the log, in which each accepted failure is written once.
    """

    def __init__(self, label: str) -> None:
        self._label = label
        self._allowed: set[str] = set()

    def judge(self, objections: Iterable[Objection]) -> None:
        """Raise ContentRefused for these failed checks, unless the operator has relaxed all of them.

        A failure of a relaxed check is logged.
        """
        fatal = []
        for objection in objections:
            if objection.check in settings.IMAGECATALOG_FORMAT_CHECKS:
                self.allow(f"{objection.found} ({objection.check}).")
            else:
                fatal.append(objection)
        if fatal:
            raise ContentRefused(_message(fatal))

    def allow(self, found: str) -> None:
        """Log a warning about a failure that is accepted because the operator allows it.

        ``found`` is a sentence about the failure; the same sentence is logged only once.
        """
        if found not in self._allowed:
            self._allowed.add(found)
            log.warning("%s: %s The operator allows it.", self._label, found)


def refused(check: str, found: str) -> ContentRefused:
    """Return the error for one failed check, which the operator cannot relax.

    ``check`` is the name of the check, ``found`` says what is wrong with the data.
    """
    return ContentRefused(_message([Objection(check, found)]))


def _message(objections: list[Objection]) -> str:
    reasons = " ".join(
        f"{found} ({check}). {ADVICE[check]}" for check, found in objections
    )
    names = sorted({objection.check for objection in objections})
    if set(names) <= set(RELAXABLE):
        setting = f"The operator can allow it: IMAGECATALOG_FORMAT_CHECKS={','.join(names)}."  # fmt: skip
    else:
        setting = "No setting allows it."
    return f"Image failed safety checks: {reasons} {setting}"
