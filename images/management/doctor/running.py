"""Checks that ask the management listener of the running service whether it lives or is ready."""

from __future__ import annotations

import http.client
import json
import socket
from collections.abc import Iterator
from contextlib import closing
from typing import Final

from django.conf import settings

from images.management import listeners
from images.management.doctor.result import Result, fail, ok
from images.management.listeners import Address

TIMEOUT: Final = 5.0  # seconds; /readyz takes up to three
LISTENER: Final = "IMAGECATALOG_MANAGEMENT_BIND"
LOG: Final = "Look at the log of the service."


def live() -> Iterator[Result]:
    """Yield whether the running service says that it lives (``/livez``)."""
    answer = _ask("live", "/livez")
    if isinstance(answer, Result):
        yield answer
    elif answer == (200, b"OK"):
        yield ok("live", f"the service at {settings.IMAGECATALOG_MANAGEMENT_BIND} runs")
    else:
        yield _unexpected("live", *answer)


def ready() -> Iterator[Result]:
    """Yield for each component of the running service whether it works (``/readyz``)."""
    answer = _ask("ready", "/readyz")
    if isinstance(answer, Result):
        yield answer
        return
    try:
        checks = json.loads(answer[1])["checks"]
        problems = {name: found["output"] for name, found in checks.items()}
    except (ValueError, LookupError, TypeError, AttributeError):
        yield _unexpected("ready", *answer)
        return
    for name, problem in problems.items():
        yield fail(name, problem, LOG) if problem else ok(name, "no problem")


def _unexpected(check: str, status: int, body: bytes) -> Result:
    text = body[:200].decode(errors="replace")
    return fail(check, f"the answer is {status}: {text}", LOG)


def _ask(check: str, path: str) -> tuple[int, bytes] | Result:
    """Return status code and body of the management listener's response to a GET of a path.

    Returns a failed result if there is no response. Raises CommandError if the address is wrong.
    """
    text = settings.IMAGECATALOG_MANAGEMENT_BIND
    if not text:
        advice = "Set it for `serve` and this command, for example to 127.0.0.1:9293."
        return fail(check, f"{LISTENER} is not set", advice)
    try:
        with closing(_connection(listeners.parse(LISTENER, text))) as connection:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read()
    except (OSError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
        advice = f"Start `serve`, or correct {LISTENER}."
        return fail(check, f"no answer from {text}: {reason}", advice)


def _connection(address: Address) -> http.client.HTTPConnection:
    # Connections to 0.0.0.0 and [::] lead to this machine.
    connection = http.client.HTTPConnection(
        address.host or "localhost", address.port or None, timeout=TIMEOUT
    )
    if address.path:
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(TIMEOUT)
        connection.sock.connect(address.path)
    return connection
