"""The result of one check of the command `doctor`."""

from __future__ import annotations

from dataclasses import dataclass

OK = "ok"
WARN = "warn"
FAIL = "fail"


@dataclass(frozen=True)
class Result:
    """The result of a check: OK, WARN or FAIL, with a text and advice on what to do."""

    check: str
    status: str
    text: str
    advice: str = ""


def ok(check: str, text: str) -> Result:
    """Return the result of a check that has found no problem."""
    return Result(check, OK, text)


def warn(check: str, text: str, advice: str) -> Result:
    """Return the result of a check that has found something that can become a problem."""
    return Result(check, WARN, text, advice)


def fail(check: str, text: str, advice: str) -> Result:
    """Return the result of a check that has found a problem that stops a part of the service."""
    return Result(check, FAIL, text, advice)
