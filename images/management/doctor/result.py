"""The result of a check."""

from __future__ import annotations

from dataclasses import dataclass

OK = "ok"
WARN = "warn"
FAIL = "fail"


@dataclass(frozen=True)
class Result:
    """What a check has found, and for anything but OK what to do."""

    check: str
    status: str
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Result:
    """Return the result of a check that has found nothing wrong."""
    return Result(check, OK, text)


def warn(check: str, text: str, advice: str) -> Result:
    """Return the result of a check that has found what can become a problem."""
    return Result(check, WARN, text, advice)


def fail(check: str, text: str, advice: str) -> Result:
    """Return the result of a check that has found what prevents work."""
    return Result(check, FAIL, text, advice)
