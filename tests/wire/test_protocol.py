"""Requests that are malformed, too large or unusual in HTTP: one form for every refusal."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from uuid import uuid4

import pytest

from tests.servers import Service
from tests.wire.api import Api, connect, head

LINE = 1 << 16


@pytest.fixture
def api(any_catalogue: Service) -> Iterator[Api]:
    with Api(any_catalogue) as session:
        yield session


def ask(service: Service, request: bytes) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the first response."""
    with connect(service) as sock:
        sock.settimeout(60)
        sock.sendall(request)
        received = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    start, _, body = received.partition(b"\r\n\r\n")
    first, *lines = start.decode("latin-1").split("\r\n")
    fields = {
        name.lower(): value for name, _, value in (it.partition(": ") for it in lines)
    }
    return int(first.split()[1]), fields, body


def plain(*lines: str) -> bytes:
    return "\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1")


GET = "GET /v2/images HTTP/1.1"
HOST = "Host: x"
PUT = "PUT /v2/images/x/file HTTP/1.1"
MALFORMED = [
    (plain("GET /v2/images"), 400),
    (plain("GET  /v2/images HTTP/1.1", HOST), 400),
    (plain("GET v2/images HTTP/1.1", HOST), 400),
    (plain("GET /\xff HTTP/1.1", HOST), 400),
    (plain("G@T / HTTP/1.1", HOST), 400),
    (plain("get /v2/images HTTP/1.1", HOST), 501),
    (plain("GET / HTTP/2.0", HOST), 505),
    (plain("GET / HTTQ/1.1", HOST), 400),
    (plain(GET), 400),
    (plain(GET, "Host: x", "Host: x"), 400),
    (plain(GET, "Host:"), 400),
    (plain(GET, "Host: a b"), 400),
    (plain(GET, "Host: a/b"), 400),
    (plain(GET, "Host: a@b"), 400),
    (plain(GET, "Host: a,b:1:2"), 400),
    (plain(GET, "Host: x:port"), 400),
    (plain("GET http://a@b/v2/images HTTP/1.1", HOST), 400),
    (plain(GET, HOST, "no colon"), 400),
    (plain(GET, HOST, "Name : value"), 400),
    (plain(GET, HOST, " folded"), 400),
    (plain(GET, HOST, "X: a\x00b"), 400),
    (plain(GET, HOST, "Expect: a miracle"), 417),
    (plain(GET, HOST, f"X: {'x' * LINE}"), 431),
    (plain(GET, HOST, *(f"X-{number}: x" for number in range(300))), 431),
    (plain(PUT, HOST, "Content-Length: 5", "Content-Length: 5"), 400),
    (plain(PUT, HOST, "Content-Length: +5"), 400),
    (plain(PUT, HOST, "Content-Length: 5", "Transfer-Encoding: chunked"), 400),
    (plain(PUT, HOST, "Transfer-Encoding: gzip"), 400),
    (plain(PUT, HOST, "Transfer-Encoding: chunked, chunked"), 400),
    (plain(PUT, HOST, "Transfer-Encoding: gzip, chunked"), 501),
    (plain(PUT, HOST, "Transfer-Encoding: gzip", "Transfer-Encoding: chunked"), 501),
    (plain(PUT, HOST, "Transfer-Encoding: identity, chunked"), 501),
    (plain(PUT, HOST, "Transfer-Encoding: xchunked"), 501),
    (plain("PUT / HTTP/1.0", "Transfer-Encoding: chunked"), 400),
]


@pytest.mark.parametrize(("request_", "status"), MALFORMED)
def test_a_refusal_by_the_server_has_the_form_of_the_api(
    any_catalogue: Service, request_: bytes, status: int
) -> None:
    code, fields, body = ask(any_catalogue, request_)

    assert code == status
    assert re.fullmatch("req-[0-9a-f-]{36}", fields["x-openstack-request-id"])
    assert fields["content-length"] == str(len(body))
    assert fields["connection"] == "close"
    assert "date" in fields
    assert f"{status} ".encode() in body
    assert b"gunicorn" not in body


@pytest.mark.parametrize(
    "line", ["Content-Length: x", "Transfer-Encoding: gzip, chunked"]
)
def test_a_refusal_by_the_server_has_the_accepted_form(
    any_catalogue: Service, line: str
) -> None:
    given = "X-OpenStack-Request-ID: mine", "Accept: application/json"

    _, fields, body = ask(any_catalogue, plain(PUT, HOST, *given, line))

    assert fields["content-type"] == "application/json"
    assert fields["x-openstack-request-id"] == "req-mine"
    assert set(json.loads(body)) == {"message", "code", "title"}


def test_a_refusal_by_the_server_is_logged_with_its_request_id(
    any_catalogue: Service,
) -> None:
    _, fields, _ = ask(any_catalogue, plain("GET / HTTP/2.0", HOST))

    assert fields["x-openstack-request-id"] in any_catalogue.log_tail()


@pytest.mark.parametrize(
    "request_",
    [
        plain("GET /versions HTTP/1.0"),
        plain("GET /versions HTTP/1.1", "Host: some_name:9292"),
        plain("GET /versions HTTP/1.1", "Host: [::1]:9292"),
        plain("GET /versions HTTP/1.1", "Host: a.example.:"),
        plain("GET http://elsewhere/versions HTTP/1.1", "Host: x"),
        plain("GET /versions HTTP/1.1", HOST, "Expect: 100-continue"),
    ],
)
def test_what_is_unusual_but_valid_is_answered(
    any_catalogue: Service, request_: bytes
) -> None:
    code, _, body = ask(any_catalogue, request_)

    assert code == 200
    assert b"versions" in body


def test_the_host_of_an_absolute_target_comes_before_the_header(
    any_catalogue: Service,
) -> None:
    _, _, body = ask(
        any_catalogue, plain("GET http://a:1/versions HTTP/1.1", "Host: b")
    )

    assert b"http://a:1/v2/" in body


def test_a_list_takes_a_thousand_ids(any_catalogue: Service, api: Api) -> None:
    image_id = api.new(name=uuid4().hex)
    ids = [image_id, *(str(uuid4()) for _ in range(999))]

    answer = api.get(f"images?id=in:{','.join(ids)}")

    assert [image["id"] for image in answer.json()["images"]] == [image_id]


def test_a_request_line_of_64_kib_is_read(any_catalogue: Service) -> None:
    target = f"/v2/images?name={'x' * LINE}"

    code, _, body = ask(
        any_catalogue, head(any_catalogue, "GET", target, "Connection: close")
    )

    assert (code, json.loads(body)["images"]) == (200, [])


@pytest.mark.parametrize("path", ["/", "/v2/", "/v1/", "/identity/v3/", "/admin/a/"])
@pytest.mark.parametrize("part", ["a", "/", "%FF", "?a=b&"])
def test_a_long_url_causes_no_error_of_the_service(
    any_catalogue: Service, path: str, part: str
) -> None:
    before = any_catalogue.log.stat().st_size
    target = path + part * (LINE // len(part))

    code, _, _ = ask(any_catalogue, plain(f"GET {target} HTTP/1.1", HOST))

    assert code < 500
    with any_catalogue.log.open("rb") as log:
        log.seek(before)
        assert b"Traceback" not in log.read()


def test_a_longer_request_line_is_414_in_the_form_of_the_api(
    any_catalogue: Service,
) -> None:
    code, fields, body = ask(
        any_catalogue, plain(f"GET /{'x' * 3 * LINE} HTTP/1.1", HOST)
    )

    assert code == 414
    assert "x-openstack-request-id" in fields
    assert b"414 Request-URI Too Long\n\n" in body


@pytest.mark.parametrize(
    ("path", "status"),
    [("/", 300), ("/versions", 200), ("/admin/login/", 200), ("/v2/images", 401)],
)
def test_head_has_the_headers_of_get_and_logs_nothing(
    any_catalogue: Service, path: str, status: int
) -> None:
    before = any_catalogue.log.stat().st_size

    code, of_head, body = ask(any_catalogue, plain(f"HEAD {path} HTTP/1.1", HOST))
    _, of_get, content = ask(any_catalogue, plain(f"GET {path} HTTP/1.1", HOST))

    assert (code, body) == (status, b"")
    assert set(of_head) == set(of_get) - {"transfer-encoding"}
    if path != "/admin/login/":  # a token in the form differs
        assert (
            of_head["content-length"] == of_get["content-length"] == str(len(content))
        )
    with any_catalogue.log.open("rb") as log:
        log.seek(before)
        assert b"body" not in log.read()


def test_head_of_data_has_its_length_and_no_body(
    any_catalogue: Service, api: Api
) -> None:
    image_id = api.new()
    api.upload(image_id, b"0123456789")
    target = f"/v2/images/{image_id}/file"

    code, fields, body = ask(
        any_catalogue, head(any_catalogue, "HEAD", target, "Connection: close")
    )

    assert (code, body) == (200, b"")
    assert (fields["content-length"], fields["accept-ranges"]) == ("10", "bytes")
