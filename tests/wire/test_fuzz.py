"""Whatever is sent, the answer is never a server error, and every refusal says why."""

from __future__ import annotations

import json
import os
import re
import socket
from urllib.parse import quote

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from images.api.v2 import patch, uploads
from images.http.openapi import JSON, OCTETS
from tests.servers import Service
from tests.wire import openapi
from tests.wire.api import PATCH, Api, connect, head

pytestmark = pytest.mark.usefixtures("no_traceback")
# `make test` checks each kind of request with a few examples, `make fuzz` with many.
EXAMPLES = int(os.environ.get("FUZZ_EXAMPLES", "5"))
fuzz = settings(
    deadline=None,
    database=None,
    max_examples=EXAMPLES,
    suppress_health_check=list(HealthCheck),
)
for dialect in (patch.V2_1, patch.V2_0):
    schemathesis.serializer.alias(dialect, JSON)
schemathesis.serializer.alias(uploads.MEDIA_TYPE, OCTETS)
MODES = [GenerationMode.POSITIVE, GenerationMode.NEGATIVE]

ids: dict[str, list[str]] = {}  # of images that exist, by the service's URL


@pytest.fixture
def image_ids(catalogue: Service, api: Api) -> list[str]:
    """A queued, an active and a deactivated image; the same ones for all tests."""
    if catalogue.url not in ids:
        queued, active, deactivated = (api.new(custom="x", tags=["t"]) for _ in "123")
        for image_id in (active, deactivated):
            assert api.upload(image_id, b"0123456789").status_code == 204
        api.post(f"images/{deactivated}/actions/deactivate")
        ids[catalogue.url] = [queued, active, deactivated]
    return ids[catalogue.url]


@pytest.fixture
def namespace(api: Api) -> None:
    """The namespace of the document; an earlier request may have renamed it."""
    response = api.post("metadefs/namespaces", json={"namespace": "OS::Test"})
    assert response.status_code in (201, 409)


# By the document


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize(
    "catalogue",
    ["sqlite+folder", pytest.param("postgres+s3", marks=pytest.mark.long)],
    indirect=True,
    scope="session",
)
@pytest.mark.parametrize("mode", MODES, ids=lambda mode: mode.value)
@pytest.mark.parametrize(("path", "method"), openapi.operations())
def test_requests_by_and_against_the_document_are_answered_as_it_says(
    catalogue: Service,
    api: Api,
    image_ids: list[str],
    namespace: None,
    path: str,
    method: str,
    mode: GenerationMode,
) -> None:
    schema = schemathesis.openapi.from_dict(openapi.document(image_ids))

    @fuzz
    @given(case=schema[path][method].as_strategy(generation_mode=mode))
    def check(case: schemathesis.Case) -> None:
        case.call_and_validate(
            base_url=catalogue.url,
            auth=api.auth,
            timeout=60,
            checks=[
                not_a_server_error,
                status_code_conformance,
                content_type_conformance,
                response_schema_conformance,
            ],
        )

    check()


# By hand: what no document can say


# Bytes that are special somewhere on the way, and any others.
SPECIAL = [b"%00", b"%", b"%zz", b"%ff", b"%c0%80", b"%ed%a0%80", b"%f0%9f%98%80"]
SPECIAL += [b"%2e%2e", b"%2F", b"..", b"//", b"%E2%80%AE", b"+", b"%0d%0a", b"\xff"]
SPECIAL += [b"'", b"%22", b"%5C", b";", b"&", b"=", b":", b",", b"a" * 300, b"%C3%A4"]
chunk = st.sampled_from(SPECIAL) | st.text(max_size=6).map(
    lambda text: quote(text, errors="replace").encode()
)
target = st.lists(chunk, max_size=4).map(b"".join)

VALUES = ["", "0", "-1", "1" * 30, "*/*", "bytes=0-3", "bytes=-0", "bytes=9-0", "a/b;"]
VALUES += ["bytes=0-1,3-4", "bytes 0-3/10", "items=1-2", "gzip", "identity", ",", "\t"]
VALUES += ["é" * 5, "a" * 5000, "req-" + "x" * 70, "application/json", "100-continue"]
NAMES = ["Range", "Content-Range", "Accept", "Accept-Encoding", "Content-Type"]
NAMES += ["X-OpenStack-Request-ID", "X-Auth-Token", "Content-Encoding", "If-Match"]
NAMES += ["X-Image-Meta-Store", "X-OpenStack-Image-Size", "If-Modified-Since"]
NAMES += ["X-Forwarded-Proto", "Cookie", "Origin", "X-Http-Method-Override", "Expect"]
header_value = st.sampled_from(VALUES) | st.text(
    st.characters(min_codepoint=32, max_codepoint=255, exclude_characters="\x7f"),
    max_size=20,
)
fields = st.lists(st.tuples(st.sampled_from(NAMES), header_value), max_size=3)

QUERY_NAMES = ["limit", "marker", "sort", "sort_key", "sort_dir", "name", "tag", "size"]
QUERY_NAMES += ["size_min", "created_at", "visibility", "member_status", "owner", "id"]
QUERY_NAMES += ["os_hidden", "protected", "checksum", "status", "custom", "disk_format"]
QUERY_VALUES = ["in:a,b", 'in:"a', "in:", "eq:", "gt:2020-01-01T00:00:00Z", "9" * 19]
QUERY_VALUES += ["-9223372036854775809", "1e9", "lt:0001-01-01", "gt:9999-12-31", "nan"]
QUERY_VALUES += ["2020-01-01T00:00:00+23:59", "0001-01-01T00:00:00+01:00", "true", "١"]
query_value = st.sampled_from(QUERY_VALUES).map(lambda v: quote(v).encode()) | target
query = st.lists(
    st.tuples(st.sampled_from(QUERY_NAMES).map(str.encode) | target, query_value),
    max_size=4,
).map(lambda pairs: b"&".join(name + b"=" + value for name, value in pairs))


def exchange(service: Service, request: bytes) -> bytes:
    """Send, say that nothing follows, and read to the end."""
    with connect(service) as sock:
        sock.settimeout(60)
        try:
            sock.sendall(request)
            sock.shutdown(socket.SHUT_WR)
            return b"".join(iter(lambda: sock.recv(1 << 16), b""))
        except (ConnectionResetError, BrokenPipeError):
            return b"HTTP/1.1 400 reset\r\n\r\nwhat is no HTTP may be cut off"


def check_answer(answer: bytes) -> None:
    first, _, rest = answer.partition(b"\r\n")
    status = re.fullmatch(rb"HTTP/1\.1 ([1-5]\d\d)( .*)?", first)
    assert status, answer
    assert status[1] < b"500", answer
    # A refusal says why.
    assert status[1] < b"400" or len(rest.partition(b"\r\n\r\n")[2]) > 20, answer


def raw_request(service: Service, method: str, target: bytes, *more: bytes) -> bytes:
    start = head(service, method, "TARGET", "Connection: close")
    lines = [start.replace(b"TARGET", target, 1)[:-2], *more, b"", b""]
    return lines[0] + b"\r\n".join(lines[1:])


@fuzz
@given(query=query)
def test_any_query_string(catalogue: Service, query: bytes) -> None:
    request = raw_request(catalogue, "GET", b"/v2/images?" + query)

    check_answer(exchange(catalogue, request))


@fuzz
@given(
    method=st.sampled_from(["GET", "PUT", "DELETE"]),
    path=st.tuples(
        st.sampled_from([b"/", b"/v2/", b"/v2/images/", b"/v2/schemas/", b"/v1/", b""]),
        target,
    ).map(b"".join),
)
def test_any_path(catalogue: Service, method: str, path: bytes) -> None:
    request = raw_request(catalogue, method, path, b"Content-Length: 0")

    check_answer(exchange(catalogue, request))


@fuzz
@given(tag=target, method=st.sampled_from(["PUT", "DELETE"]))
def test_any_tag(
    catalogue: Service, image_ids: list[str], method: str, tag: bytes
) -> None:
    path = f"/v2/images/{image_ids[1]}/tags/".encode() + tag
    request = raw_request(catalogue, method, path, b"Content-Length: 0")

    check_answer(exchange(catalogue, request))


@fuzz
@given(
    request=st.sampled_from(
        [
            "GET ",
            "GET /file",
            "PUT /file",
            "PUT /tags/t",
            "PATCH ",
            "HEAD ",
            "OPTIONS ",
            "POST /actions/deactivate",
        ]
    ),
    which=st.integers(0, 2),
    fields=fields,
)
def test_any_headers(
    catalogue: Service,
    image_ids: list[str],
    request: str,
    which: int,
    fields: list[tuple[str, str]],
) -> None:
    method, part = request.split(" ")
    path = f"/v2/images/{image_ids[which]}{part}".encode()
    lines = [f"{name}: {value}".encode("latin-1") for name, value in fields]
    answer = exchange(catalogue, raw_request(catalogue, method, path, *lines))

    check_answer(answer if method != "HEAD" else answer + b"no body" * 9)


PARAMETERS = ["charset", "charset*", "charset*0", "charset ", "x*", "boundary", ""]
PARAMETER_VALUES = ["base64", "utf-16", "bogus''%41", "idna''%ff", '"', "undefined", ""]


@fuzz
@given(
    media_type=st.sampled_from(["a/b", "multipart/form-data", "application/json", ""]),
    name=st.sampled_from(PARAMETERS),
    value=st.sampled_from(PARAMETER_VALUES) | header_value,
)
def test_any_parameter_of_a_content_type(
    catalogue: Service, media_type: str, name: str, value: str
) -> None:
    line = f"Content-Type: {media_type};{name}={value}".encode("latin-1")
    request = raw_request(catalogue, "GET", b"/v2/images?name=%C3%A9", line)
    answer = exchange(catalogue, request)

    check_answer(answer)
    assert answer.startswith(b"HTTP/1.1 200"), answer


UPLOAD_VALUES = [*VALUES, "1.0.0", "3", "10", "PATCH", "DELETE", "filename YQ==", "a ="]
UPLOAD_NAMES = ["Tus-Resumable", "Upload-Offset", "Upload-Length", "Upload-Metadata"]
UPLOAD_NAMES += ["Upload-Defer-Length", "X-HTTP-Method-Override", "Content-Type"]
upload_fields = st.dictionaries(
    st.sampled_from(UPLOAD_NAMES), st.sampled_from(UPLOAD_VALUES) | header_value
)


@fuzz
@given(
    method=st.sampled_from(["POST", "HEAD", "GET", "PATCH", "DELETE", "OPTIONS"]),
    one=st.booleans(),
    fields=upload_fields,
    body=st.sampled_from([b"", b"abc", b"0123456789ab"]),
)
def test_any_headers_of_an_upload(
    catalogue: Service,
    api: Api,
    method: str,
    one: bool,
    fields: dict[str, str],
    body: bytes,
) -> None:
    tus = {"Tus-Resumable": "1.0.0"}
    path = f"images/{api.new()}/uploads"
    if one:
        created = api.post(path, headers=tus | {"Upload-Length": "10"})
        path += f"/{created.headers['Location'].rpartition('/')[2]}"
    offset = {"Upload-Offset": "0", "Content-Type": "application/offset+octet-stream"}
    given = tus | offset | fields | {"Content-Length": str(len(body))}
    lines = [f"{name}: {value}".encode("latin-1") for name, value in given.items()]
    request = raw_request(catalogue, method, f"/v2/{path}".encode(), *lines) + body
    answer = exchange(catalogue, request)

    # A refusal of HEAD has no body; X-HTTP-Method-Override makes one of any request.
    check_answer(answer + b"no body" * 9)


@fuzz
@given(
    length=st.sampled_from(["", "-1", "+5", "5 5", "0x5", "5", "99", "1" * 40, "5, 5"]),
    coding=st.sampled_from([None, "chunked", "gzip", "chunked, chunked", "x", ""]),
    request=st.sampled_from(["POST /v2/images", "PUT /v2/images/{}/file"]),
    body=st.sampled_from(
        [b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"zz\r\n", b"5\r\nhel", b"{}"]
    ),
)
def test_any_framing(
    catalogue: Service,
    image_ids: list[str],
    length: str,
    coding: str | None,
    request: str,
    body: bytes,
) -> None:
    method, path = request.format(image_ids[0]).split(" ")
    lines = [b"Content-Type: application/octet-stream"]
    lines += [f"Content-Length: {length}".encode()] if length else []
    lines += [f"Transfer-Encoding: {coding}".encode()] if coding is not None else []
    start = raw_request(catalogue, method, path.encode(), *lines)
    answer = exchange(catalogue, start + body)

    # 501 is what RFC 9112 section 6.1 wants for a coding that nobody knows.
    check_answer(answer.replace(b" 501 ", b" 499 ", 1))


@fuzz
@given(value=header_value)
def test_any_authorization(catalogue: Service, value: str) -> None:
    for field in ("Authorization: Basic ", "Authorization: ", "X-Auth-Token: "):
        lines = ["GET /v2/images HTTP/1.1", "Host: x", "Connection: close"]
        request = "\r\n".join([*lines, field + value, "", ""]).encode("latin-1")
        answer = exchange(catalogue, request)
        assert answer.startswith(b"HTTP/1.1 40"), answer


plain = st.none() | st.booleans() | st.floats() | st.text() | st.integers()
strange = plain | st.sampled_from(
    ["\0", "\ud800", "😀", "a" * 300, 10**30, -(2**63), 1.5, [], {}, [[]], "x\ny"]
)
anything = st.recursive(
    strange, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=8
)
NAMES_IN_BODY = ["name", "tags", "visibility", "min_ram", "min_disk", "protected", "id"]
NAMES_IN_BODY += ["disk_format", "container_format", "owner", "os_hidden", "locations"]
NAMES_IN_BODY += ["status", "size", "custom", "os_glance_x", "", "\0", "😀", "a" * 256]
document = st.dictionaries(st.sampled_from(NAMES_IN_BODY) | st.text(), anything)
VERBATIM = [b"", b"{", b"NaN", b'{"a": NaN}', b"\xff\xfe", b'{"name": "\\u0000"}']
VERBATIM += [
    b'{"name": "\\ud800"}',
    b"[" * 100_000,
    b'{"a":' * 2000 + b"1" + b"}" * 2000,
]
VERBATIM += [b'{"min_ram": 1e400}', b'{"min_ram": 1' + b"0" * 5000 + b"}", b'"x"', b"1"]
VERBATIM += [b'{"name":"\xed\xa0\x80"}', b'{"name":"a","name":"b"}', b"\xef\xbb\xbf{}"]
VERBATIM += [b"[]", b"[[]]", b"[null]", b'{"tags": {}}', b"{" + b" " * (1 << 20) + b"}"]


def as_json(value: object) -> bytes:
    return json.dumps(value).encode()  # with NaN, and lone surrogates as escapes


@fuzz
@given(body=st.sampled_from(VERBATIM) | document.map(as_json) | anything.map(as_json))
def test_any_body_for_a_new_image(api: Api, body: bytes) -> None:
    answer = api.post("images", data=body)

    assert answer.status_code < 500, answer.text
    assert answer.ok or len(answer.text) > 20


pointer = st.sampled_from(
    [f"/{name}" for name in NAMES_IN_BODY]
    + ["", "/", "//", "/~", "/~2", "/a~1b", "/tags/0", "/locations/-", "/locations"]
)
verb = st.sampled_from(["add", "replace", "remove"])
sensible = st.fixed_dictionaries({"op": verb, "path": pointer, "value": anything})
draft = st.builds(lambda v, p, x: {v: p, "value": x}, verb, pointer, anything)
operation = sensible | draft | st.dictionaries(verb | st.text(), pointer | anything)


@fuzz
@given(
    which=st.integers(0, 2),
    body=st.sampled_from(VERBATIM) | st.lists(operation, max_size=4).map(as_json),
    old=st.booleans(),
)
def test_any_patch(
    api: Api, image_ids: list[str], which: int, body: bytes, old: bool
) -> None:
    media = PATCH["Content-Type"].replace("v2.1", "v2.0" if old else "v2.1")
    path = f"images/{image_ids[which]}"
    answer = api.patch(path, data=body, headers={"Content-Type": media})

    assert answer.status_code < 500, answer.text
    assert answer.ok or len(answer.text) > 20
