"""The checks of the reverse proxies: whether requests to the public URL reach the service unchanged."""

from __future__ import annotations

import http.client
import json
import ssl
import time
from collections.abc import Iterator
from contextlib import closing, suppress
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urlsplit

from django.conf import settings

from images.api.proxy_check import DATA, END, PATH, SIGNATURE, UNDERSCORE, sign
from images.management.doctor.result import Result, fail, ok, warn

TIMEOUT: Final = 5.0  # seconds
UNREAD: Final = 1.0  # s during which the data of an answer is not read
LARGE: Final = 1 << 40  # bytes: announced, never sent
CHUNKS: Final = [bytes(1 << 16)] * 32  # 2 MiB; proxies refuse 1 MiB by default
LONG: Final = "x" * (32 << 10)  # a header; proxies refuse more than 8 KiB by default
FORGED: Final = "192.0.2.1"  # an address of no machine (RFC 5737)
CONNECTIONS: Final[dict[str, type[http.client.HTTPConnection]]] = {
    "http": http.client.HTTPConnection,
    "https": http.client.HTTPSConnection,
}
ADVICE: Final = "See `Reverse proxy` on the page Operations of the documentation."
# OpenSSL's codes (X509_V_ERR_…) for certificates whose authority is not known.
UNKNOWN_AUTHORITY: Final = (18, 19, 20, 21)


@dataclass(frozen=True)
class Answer:
    """The service's answer to a request of the command ``doctor`` through the proxies."""

    status: int
    document: dict[str, Any]  # what has reached the service; empty if it did not answer
    seconds: float  # until the service could send the end of the data
    port: int  # of this machine


def all_checks() -> Iterator[Result]:
    """Send requests to the public URL, and yield how the proxies change, delay or refuse them.

    Yields one good result if the requests reach the service unchanged, or no public URL is set.
    """
    url = settings.IMAGECATALOG_PUBLIC_URL
    if not url:
        yield ok(
            "proxies",
            "not examined, because IMAGECATALOG_PUBLIC_URL is not set; set it if there are any",
        )
        return
    if not settings.IMAGECATALOG_TRUSTED_PROXIES:
        yield warn(
            "proxies",
            "IMAGECATALOG_TRUSTED_PROXIES is empty",
            "Name the proxies: all clients otherwise seem to have the address of the proxy, and "
            "one who guesses passwords locks everybody out.",
        )
    if failure := _failure(url):
        yield failure
        return
    try:
        found = [*_results(url)]
    except (OSError, http.client.HTTPException) as error:
        found = [fail("proxies", f"{url}: {error or type(error).__name__}", ADVICE)]
    yield from found
    if not found:
        yield ok("proxies", f"{url} leads to the service, unchanged")


def _failure(url: str) -> Result | None:
    """Return a failed result if a GET of ``/livez`` at the public URL does not give OK, else None."""
    try:
        with closing(_connection(url)) as connection:
            connection.request("GET", f"{urlsplit(url).path}/livez")
            answer = connection.getresponse()
            body = answer.read(1 << 16)
    except ssl.SSLCertVerificationError as error:
        return _unverified(url, error)
    except (OSError, ValueError, http.client.HTTPException) as error:
        reason = str(error) or type(error).__name__
    else:
        if (answer.status, body) == (200, b"OK"):
            return None
        reason = f"{answer.status} {answer.reason}"
        if answer.status == 200:
            reason = "something else answers"
    return fail(
        "proxies",
        f"{url} does not lead to the service: {reason}",
        "Start `serve` and the proxy, or correct IMAGECATALOG_PUBLIC_URL.",
    )


def _unverified(url: str, error: ssl.SSLCertVerificationError) -> Result:
    text = f"the certificate of {url} cannot be verified: {error.verify_message}"
    if error.verify_code in UNKNOWN_AUTHORITY:
        advice = (
            "If it is of your own certificate authority, run `doctor` with the path of the "
            "authority's certificate (PEM) in the variable SSL_CERT_FILE."
        )
    else:
        advice = "Renew or correct the certificate, or correct IMAGECATALOG_PUBLIC_URL."
    return fail("proxies", text, advice)


def _results(url: str) -> Iterator[Result]:
    headers = {"X-Forwarded-For": FORGED, UNDERSCORE: "1"}
    plain = _ask(url, "GET", headers, query=f"?{DATA}")
    if not plain.document:
        yield warn(
            "proxies",
            f"the service behind {url} answers {plain.status}, so what the proxies pass is unknown",
            "Run `doctor` with the secret key of the service, and the same release.",
        )
        return
    yield from _forwarded(url, plain)
    if plain.seconds < UNREAD / 2:
        yield warn(
            "proxies",
            "a proxy takes whole downloads that their clients read slowly, which fills its memory "
            "and disk",
            f"For nginx: proxy_buffering off. {ADVICE}",
        )
    if settings.IMAGECATALOG_V1 and not plain.document["underscore"]:
        yield fail(
            "proxies",
            "a proxy drops headers with an underscore, which API v1 needs",
            f"For nginx: underscores_in_headers on. {ADVICE}",
        )
    yield from _bodies(url)
    if not _ask(url, "GET", {"X-Long": LONG}).document:
        yield warn(
            "proxies",
            "a proxy refuses a header of 32 KiB, as long filters and large tokens have",
            f"For nginx: large_client_header_buffers 2 128k. {ADVICE}",
        )


def _forwarded(url: str, answer: Answer) -> Iterator[Result]:
    arrived, parts = answer.document, urlsplit(url)
    if arrived["host"] != parts.netloc:
        yield warn(
            "proxies",
            f"the service is asked for {arrived['host']!r} instead of {parts.netloc!r}",
            f"For nginx: proxy_set_header Host $http_host. {ADVICE}",
        )
    if arrived["scheme"] != parts.scheme:
        yield fail(
            "proxies",
            f"the service takes {parts.scheme} for {arrived['scheme']}",
            "Let the proxy set X-Forwarded-Proto, and name its address in "
            f"IMAGECATALOG_TRUSTED_PROXIES. {ADVICE}",
        )
    if arrived["port"] == answer.port:
        return  # no proxy is between
    if arrived["forwarded"] in ("", FORGED):
        yield fail(
            "proxies",
            "a proxy does not append the address of its client to X-Forwarded-For",
            f"For nginx: proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for. {ADVICE}",
        )
    elif settings.IMAGECATALOG_TRUSTED_PROXIES and not arrived["trusted"]:
        yield fail(
            "proxies",
            f"all clients seem to have the address {arrived['peer'] or 'of a Unix socket'}",
            "Name it in IMAGECATALOG_TRUSTED_PROXIES"
            + ("." if arrived["peer"] else ", as unix."),
        )


def _bodies(url: str) -> Iterator[Result]:
    """Yield a result for each request body that the proxies refuse or do not pass on at once.

    Two bodies are tried: a huge one, of which only the Content-Length is sent, and a chunked
    one of 2 MiB. Yields nothing if both pass.
    """
    try:
        status = _ask(url, "POST", {"Content-Length": str(LARGE)}).status
    except TimeoutError:
        yield warn(
            "proxies",
            "a proxy keeps a body until it has all of it: uploads need its disk, and seem to stand "
            "still",
            f"For nginx: proxy_request_buffering off. {ADVICE}",
        )
    else:
        if status != 200:
            yield _refused("a large body", status)
    answer = _ask(url, "POST", {"Transfer-Encoding": "chunked"}, CHUNKS)
    if answer.document.get("received") != sum(map(len, CHUNKS)):
        yield _refused("a body of 2 MiB in chunks", answer.status)


def _refused(what: str, status: int) -> Result:
    return fail(
        "proxies",
        f"{what} is answered {status}",
        f"For nginx: client_max_body_size 0 and proxy_http_version 1.1. {ADVICE}",
    )


def _ask(
    url: str,
    method: str,
    headers: dict[str, str],
    chunks: list[bytes] | None = None,
    query: str = "",
) -> Answer:
    """Send a signed request to the path ``proxy-check`` below ``url``, and return the answer.

    Raises OSError (also TimeoutError) and HTTPException.
    """
    target = f"{urlsplit(url).path}/{PATH}{query}"
    with closing(_connection(url)) as connection:
        connection.putrequest(method, target, skip_accept_encoding=True)
        for name, value in {SIGNATURE: sign(), **headers}.items():
            connection.putheader(name, value)
        connection.endheaders()
        port = connection.sock.getsockname()[1]
        _send(connection, chunks or [])
        return _read(connection.getresponse(), port)


def _connection(url: str) -> http.client.HTTPConnection:
    """Return a connection to the server of a URL, not to a proxy that HTTP_PROXY names."""
    parts = urlsplit(url)
    return CONNECTIONS[parts.scheme](parts.netloc, timeout=TIMEOUT)


def _send(connection: http.client.HTTPConnection, chunks: list[bytes]) -> None:
    with suppress(BrokenPipeError, ConnectionResetError):  # the answer says why
        for chunk in chunks:
            connection.send(b"%x\r\n%b\r\n" % (len(chunk), chunk))
        if chunks:
            connection.send(b"0\r\n\r\n")


def _read(response: http.client.HTTPResponse, port: int) -> Answer:
    line = response.readline(1 << 16)
    if response.status != 200 or not line.startswith(b'{"received"'):
        return Answer(response.status, {}, 0, port)
    end = response.read(1)
    if end:
        time.sleep(UNREAD)
    try:
        while block := response.read(1 << 20):
            end = (end + block)[-END:]
    except (http.client.IncompleteRead, ConnectionError):
        end = b""  # the proxy could not take all of it
    return Answer(response.status, json.loads(line), float(end or 0), port)
