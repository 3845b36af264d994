"""Bodies and ranges without a server: the chunk reader against a plain decoder, and the rules."""

from __future__ import annotations

import io
import itertools
import re
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from unittest import mock

import pytest
from django.core.handlers.wsgi import WSGIRequest
from django.test import RequestFactory
from gunicorn.config import Config
from gunicorn.http import wsgi
from gunicorn.http.parser import RequestParser
from hypothesis import given
from hypothesis import strategies as st

from imagecatalog import server
from images import errors
from images.http import chunked, connection, streaming
from images.http.ranges import RangeNotSatisfiable, parse_range

SIZE_LINE = re.compile(rb"([0-9a-fA-F]+)(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?\r\n")
TRAILERS = re.compile(
    rb"(?:[!#$%&'*+\-.^_`|~0-9A-Za-z]+:[\t\x20-\x7e\x80-\xff]*\r\n)*\r\n"
)
LEFTOVER = b"GET / HTTP/1.1\r\n\r\n"


# The chunk reader


def plain_decoder(wire: bytes) -> tuple[bytes, bytes] | None:
    """Payload and what follows, the simple way; None for a body that is not whole."""
    at, payload = 0, b""
    while line := SIZE_LINE.match(wire, at):
        size, at = int(line[1], 16), line.end()
        if not size:
            end = TRAILERS.match(wire, at)
            return (payload, wire[end.end() :]) if end else None
        payload += wire[at : at + size]
        at += size + 2
        if wire[at - 2 : at] != b"\r\n":
            return None
    return None


def read(wire: bytes, splits: list[int]) -> tuple[bytes, bytes] | None:
    """The same by our reader, from a socket at which the bytes arrive in these parts."""
    cuts = sorted({min(split, len(wire)) for split in splits} | {0, len(wire)})
    parts = [wire[start:stop] for start, stop in itertools.pairwise(cuts)]
    near, far = socket.socketpair()
    with near, far:

        def receive(buffer: memoryview) -> int:
            if parts:
                far.sendall(parts.pop(0))
            else:
                far.shutdown(socket.SHUT_WR)
            return connection.receive_into(near, buffer)

        return finish(
            chunked.blocks(receive, parts.pop(0) if parts else b""), near, parts
        )


def finish(
    blocks: Iterator[bytes], near: socket.socket, unsent: list[bytes]
) -> tuple[bytes, bytes] | None:
    payload = []
    try:
        while True:
            payload.append(next(blocks))
            assert type(payload[-1]) is bytes
            assert payload[-1]
    except StopIteration as end:
        near.setblocking(False)
        try:
            waiting = near.recv(1 << 20)
        except BlockingIOError:
            waiting = b""
        return b"".join(payload), end.value + waiting + b"".join(unsent)
    except errors.BodyIncomplete:
        return None


extensions = st.sampled_from([b"", b";a", b" ; a=b", b';a="b c"', b";" + b"x" * 100])
payloads = st.one_of(
    st.binary(min_size=1, max_size=40),
    st.integers(1, 20000).map(lambda size: bytes(range(256)) * (size // 256 + 1)),
)
chunks = st.builds(
    lambda payload, ext, zeros, case: b"".join(
        [b"0" * zeros, case(b"%x" % len(payload)), ext, b"\r\n", payload, b"\r\n"]
    ),
    payloads,
    extensions,
    st.integers(0, 3),
    st.sampled_from([bytes.upper, bytes.lower]),
)
trailers = st.sampled_from([b"", b"A: b\r\n", b"A: b\r\nC-d:\r\n"])
bodies = st.builds(
    lambda chunks, ext, trailers: b"".join(
        [*chunks, b"0", ext, b"\r\n", trailers, b"\r\n", LEFTOVER]
    ),
    # Most senders send many chunks of one size.
    st.lists(st.builds(bytes.__mul__, chunks, st.integers(1, 3)), max_size=6),
    extensions,
    trailers,
)
splits = st.lists(st.integers(0, 30000), max_size=12)
edits = st.tuples(
    st.integers(0, 200),
    st.integers(0, 3),
    st.sampled_from([b"", b"\r", b"\n", b"0", b"g", b" ", b"+", b";", b"\x00", b"-1"]),
)


@given(bodies, splits)
def test_every_valid_body_is_read_however_it_arrives(
    wire: bytes, splits: list[int]
) -> None:
    with mock.patch.object(chunked, "BLOCK", 9000):
        assert read(wire, splits) == plain_decoder(wire) is not None


@given(bodies, splits, edits)
def test_a_damaged_body_is_read_as_the_plain_decoder_does_or_refused(
    wire: bytes, splits: list[int], edit: tuple[int, int, bytes]
) -> None:
    at, drop, insert = edit
    damaged = wire[:at] + insert + wire[at + drop :]

    with mock.patch.object(chunked, "BLOCK", 9000):
        assert read(damaged, splits) == plain_decoder(damaged)


@given(bodies, st.integers(1, 100))
def test_a_shortened_body_is_never_taken_for_whole(wire: bytes, missing: int) -> None:
    end = len(wire) - len(LEFTOVER)

    assert read(wire[: max(end - missing, 0)], []) is None


@given(bodies, splits, edits)
def test_gunicorn_reads_nothing_else_into_what_we_accept(
    wire: bytes, splits: list[int], edit: tuple[int, int, bytes]
) -> None:
    at, drop, insert = edit
    damaged = wire[:at] + insert + wire[at + drop :]
    ours = read(damaged, splits)
    with gunicorn(b"Transfer-Encoding: chunked", damaged) as request:
        try:
            theirs = request.META["wsgi.input"].read()
        except Exception:
            return  # it is stricter with extensions and trailers

    assert ours is not None
    assert ours[0] == theirs


@pytest.mark.parametrize(
    "wire",
    [
        b"1;" + b"x" * 9000,
        b"0" * 9000 + b"1\r\n",
        b"0\r\nA: " + b"x" * 9000,
        b"0\r\n" + b"A: b\r\n" * 20000,
    ],
)
def test_framing_without_end_is_refused(wire: bytes) -> None:
    with pytest.raises(errors.BodyIncomplete, match="too long"):
        list(chunked.blocks(lambda buffer: pytest.fail("read on"), wire))


@pytest.mark.parametrize(
    "wire",
    [
        b"5\nhello\r\n0\r\n\r\n",
        b"5 x\r\nhello\r\n0\r\n\r\n",
        b"5 \r\nhello\r\n0\r\n\r\n",
        b" 5\r\nhello\r\n0\r\n\r\n",
        b"0x5\r\nhello\r\n0\r\n\r\n",
        b"+5\r\nhello\r\n0\r\n\r\n",
        b"5;a\nb\r\nhello\r\n0\r\n\r\n",
        b"5;a\rb\r\nhello\r\n0\r\n\r\n",
        b"5\r\nhello!\r\n0\r\n\r\n",
        b"5\r\nhello\n0\r\n\r\n",
        b"\r\n",
        b"0\r\n\n",
        b"0\r\n: b\r\n\r\n",
        b"0\r\nA : b\r\n\r\n",
        b"0\r\nA\r\n\r\n",
    ],
)
def test_framing_that_others_could_read_differently_is_refused(wire: bytes) -> None:
    with pytest.raises(errors.BodyIncomplete, match="not sent as a valid chunked body"):
        list(chunked.blocks(lambda buffer: pytest.fail("read on"), wire))


def test_what_earlier_bytes_left_in_the_buffer_is_not_read_again() -> None:
    buffer = bytearray(b"1\r\na\r\n" * 3)

    for stop in range(len(buffer)):
        assert chunked.Framing().cut(buffer, 0, stop, []) <= stop


def test_a_body_in_tiny_chunks_is_handed_out_in_small_blocks() -> None:
    wire = b"1\r\na\r\n" * 5000 + b"0\r\n\r\n"
    blocks = list(chunked.blocks(lambda buffer: pytest.fail("read on"), wire))

    assert b"".join(blocks) == b"a" * 5000
    assert len(blocks) > 1


# Requests


class gunicorn:
    """A request as gunicorn hands it over, without the server."""

    def __init__(
        self,
        field: bytes,
        body: bytes,
        pair: tuple[socket.socket, socket.socket] | None = None,
    ) -> None:
        self.near, self.far = pair or socket.socketpair()
        self.head = b"PUT / HTTP/1.1\r\nHost: x\r\n" + field + b"\r\n\r\n"
        self.body = body

    def __enter__(self) -> WSGIRequest:
        self.far.sendall(self.head + self.body)
        if type(self.far) is socket.socket:
            self.far.shutdown(socket.SHUT_WR)
        parser = RequestParser(config := Config(), self.near, ("127.0.0.1", 1))
        address = ("127.0.0.1", "80")
        _, environ = wsgi.create(next(parser), self.near, address, address, config)
        return WSGIRequest(environ)

    def __exit__(self, *error: object) -> None:
        self.near.close()
        self.far.close()


FRAMED = [
    (b"Content-Length: 5", b"hello"),
    (b"Transfer-Encoding: chunked", b"5\r\nhello\r\n0\r\n\r\n"),
]


@pytest.mark.parametrize(("field", "body"), FRAMED)
def test_what_follows_a_body_is_left_for_gunicorn(field: bytes, body: bytes) -> None:
    with gunicorn(field, body + LEFTOVER) as request:
        source = request.META["wsgi.input"]
        assert b"".join(streaming.body(request)) == b"hello"

        reader = source.reader
        unreader = getattr(reader, "unreader", None) or reader.req.unreader
        assert unreader.take_buffered() == LEFTOVER
        assert (source.failed, source.read()) == (False, b"")


@pytest.mark.parametrize(("field", "body"), FRAMED)
def test_a_body_half_read_is_drained_and_the_connection_is_sound(
    field: bytes, body: bytes
) -> None:
    with gunicorn(field, body) as request:
        assert next(streaming.body(request)) == b"hello"
        streaming.drain(request)

        assert request.META["wsgi.input"].failed is False


def secure_pair() -> tuple[socket.socket, socket.socket]:
    """Two ends of a TLS connection without certificates."""
    pair = socket.socketpair()
    contexts = (
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER),
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT),
    )
    contexts[1].check_hostname, contexts[1].verify_mode = False, ssl.CERT_NONE
    for context in contexts:
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        context.set_ciphers("AECDH-AES256-SHA:@SECLEVEL=0")

    def end(number: int) -> socket.socket:
        return contexts[number].wrap_socket(pair[number], server_side=not number)

    with ThreadPoolExecutor(1) as pool:
        far = pool.submit(end, 1)
        return end(0), far.result()


@pytest.mark.parametrize(
    ("field", "before", "after"),
    [
        (b"Content-Length: 5", b"hel", b"lo"),
        (b"Transfer-Encoding: chunked", b"5\r\nhel", b"lo\r\n0\r\n\r\n"),
    ],
)
def test_an_upload_over_tls_can_pause(
    field: bytes, before: bytes, after: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connection, "LONGEST_READ", 0.05)
    near, far = secure_pair()
    later = threading.Timer(0.2, far.sendall, [after])
    later.start()
    with gunicorn(field, before, (near, far)) as request:
        assert b"".join(streaming.body(request)) == b"hello"
    later.join()


def test_an_upload_over_tls_that_stalls_is_ended(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(connection, "LONGEST_READ", 0.05)
    with (
        gunicorn(b"Content-Length: 5", b"hel", secure_pair()) as request,
        pytest.raises(errors.BodyIncomplete, match="for too long"),
    ):
        list(streaming.body(request, patience=0.1))


def test_a_body_half_read_and_left_makes_gunicorn_close_the_connection() -> None:
    with gunicorn(b"Content-Length: 6", b"hello!"[:5]) as request:
        next(streaming.body(request))

        assert request.META["wsgi.input"].failed is True


def test_draining_twice_or_after_the_end_does_nothing() -> None:
    with gunicorn(b"Content-Length: 5", b"hello") as request:
        list(streaming.body(request))
        streaming.drain(request)
        streaming.drain(request)


def test_a_body_is_not_read_twice() -> None:
    with gunicorn(b"Content-Length: 5", b"hello") as request:
        list(streaming.body(request))

        with pytest.raises(RuntimeError):
            next(streaming.body(request))


def test_the_socket_gets_its_own_patience_back() -> None:
    with gunicorn(b"Content-Length: 5", b"hello") as request:
        sock = request.META["gunicorn.socket"]
        connection.set_patience(sock, 7)
        before = sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16)
        list(streaming.body(request))

        assert sock.getsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, 16) == before


def plain(body: bytes, **environ: object) -> WSGIRequest:
    """A request of some other WSGI server."""
    environ = {"wsgi.input": io.BytesIO(body), **environ}
    return RequestFactory().put("/", **environ)


def test_another_server_s_body_is_read_too() -> None:
    body = bytes(range(256)) * 8200
    blocks = list(streaming.body(plain(body, CONTENT_LENGTH=str(len(body)))))

    assert b"".join(blocks) == body
    assert max(map(len, blocks)) == 1 << 20


def test_another_server_s_body_may_be_terminated_by_the_server() -> None:
    request = plain(b"hello", **{"wsgi.input_terminated": True})

    assert b"".join(streaming.body(request)) == b"hello"


def test_without_length_or_terminator_there_is_no_body() -> None:
    assert list(streaming.body(plain(b"somebody else's"))) == []


def test_a_body_shorter_than_stated_is_incomplete() -> None:
    with pytest.raises(errors.BodyIncomplete, match="closed before"):
        list(streaming.body(plain(b"hell", CONTENT_LENGTH="5")))


def test_an_error_of_another_server_is_an_incomplete_body() -> None:
    source = mock.Mock(read=mock.Mock(side_effect=ValueError("bad chunk")))
    request = plain(b"", **{"wsgi.input": source, "wsgi.input_terminated": True})

    with pytest.raises(errors.BodyIncomplete):
        list(streaming.body(request))


@pytest.fixture
def stopped() -> Iterator[Callable[[], None]]:
    yield connection.stop
    connection._stopping.clear()


@pytest.mark.parametrize(
    "field", [b"Content-Length: 9000", b"Transfer-Encoding: chunked"]
)
def test_nothing_is_awaited_once_the_service_stops(
    stopped: Callable[[], None], field: bytes
) -> None:
    stopped()
    with (
        gunicorn(field, b"9") as request,
        pytest.raises(errors.ServerStopping, match="Send it again"),
    ):
        list(streaming.body(request))


def test_a_quick_stop_waits_for_no_lock_in_a_signal_handler(
    stopped: Callable[[], None],
) -> None:
    hurry = threading.Thread(target=server.worker_int, args=[None], daemon=True)
    with connection._lock:  # as the handler of a signal just before it may have it
        hurry.start()
        hurry.join(timeout=60)
        assert not hurry.is_alive()

    assert connection._stopping.wait(60)


# Sizes


@pytest.mark.parametrize(
    ("headers", "size"),
    [
        ({}, None),
        ({"CONTENT_LENGTH": "5"}, 5),
        ({"HTTP_X_OPENSTACK_IMAGE_SIZE": "7"}, 7),
        ({"HTTP_X_OPENSTACK_IMAGE_SIZE": "0", "CONTENT_LENGTH": "5"}, 0),
    ],
)
def test_the_announced_size(headers: dict[str, str], size: int | None) -> None:
    assert streaming.body_size(plain(b"", **headers)) == size


@pytest.mark.parametrize("size", ["", "-1", "+1", "1_0", "1.0", "five", "٣", "²"])
def test_a_size_that_is_no_number_is_invalid(size: str) -> None:
    with pytest.raises(errors.Invalid, match="Invalid or missing image size"):
        streaming.body_size(plain(b"", HTTP_X_OPENSTACK_IMAGE_SIZE=size))


@pytest.mark.parametrize("name", ["CONTENT_LENGTH", "HTTP_X_OPENSTACK_IMAGE_SIZE"])
@pytest.mark.parametrize("digits", [20, 5000])
def test_a_size_of_many_digits_is_large_not_malformed(name: str, digits: int) -> None:
    size = streaming.body_size(plain(b"", **{name: "9" * digits}))

    assert size == 2**63 - 1


# Ranges


@pytest.mark.parametrize(
    ("header", "part"),
    [
        (None, None),
        ("", None),
        ("bytes=0-0", (0, 1)),
        ("bytes=2-4", (2, 5)),
        ("Bytes = 2 - 4", (2, 5)),
        ("bytes=2-", (2, 10)),
        ("bytes=2-99", (2, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-99", (0, 10)),
        ("bytes=2-18446744073709551615", (2, 10)),
        (f"bytes=2-{'9' * 5000}", (2, 10)),
        (f"bytes=-{'9' * 5000}", (0, 10)),
        (f"bytes={'0' * 5000}2-{'0' * 5000}4", (2, 5)),
    ],
)
def test_a_range_is_the_part_it_names(
    header: str | None, part: tuple[int, int] | None
) -> None:
    assert parse_range(header, 10) == part


@pytest.mark.parametrize(
    "header",
    [
        "bytes=10-",
        "bytes=10-11",
        "bytes=4-2",
        "bytes=-",
        "bytes=-0",
        "bytes=" + " " * 100 + "2-4",
        "bytes=a-b",
        "bytes=1",
        "bytes",
        "items=0-1",
        "bytes=+1-2",
        "bytes=1-2-3",
        "bytes=٣-",
        f"bytes={'9' * 5000}-",
    ],
)
def test_a_range_that_is_no_part_is_not_satisfiable(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable) as caught:
        parse_range(header, 10)

    assert caught.value.size == 10


@pytest.mark.parametrize("header", ["bytes=0-", "bytes=-1", "bytes=-0", "bytes=0-0"])
def test_no_data_has_no_parts(header: str) -> None:
    with pytest.raises(RangeNotSatisfiable):
        parse_range(header, 0)


def test_several_ranges_are_invalid() -> None:
    with pytest.raises(errors.Invalid, match="Several ranges"):
        parse_range("bytes=0-1,4-5", 10)


@pytest.mark.parametrize(
    "header", ["bytes 2-4/10", "bytes 2-4/*", "2-4/*", "bytes 2-4/77"]
)
def test_a_request_s_content_range_is_obeyed_like_a_range(header: str) -> None:
    request = RequestFactory().get("/", headers={"Content-Range": header})

    assert streaming.content_range(request, 10) == (2, 5)


@pytest.mark.parametrize(
    "header", ["bytes */10", "bytes 2-10/*", "bytes 4-2/10", "2-4"]
)
def test_a_request_s_content_range_may_be_wrong(header: str) -> None:
    request = RequestFactory().get("/", headers={"Content-Range": header})

    with pytest.raises(RangeNotSatisfiable):
        streaming.content_range(request, 10)


def test_a_range_comes_before_a_content_range() -> None:
    headers = {"Range": "bytes=0-0", "Content-Range": "bytes 2-4/10"}

    assert streaming.content_range(RequestFactory().get("/", headers=headers), 10) == (
        0,
        1,
    )


# Downloads


def test_a_download_of_everything() -> None:
    response = streaming.download(iter([b"abc", b"de"]), 5, None, "0" * 32)

    assert (response.status_code, b"".join(response)) == (200, b"abcde")
    assert dict(response.headers) == {
        "Content-Type": "application/octet-stream",
        "Content-Length": "5",
        "Accept-Ranges": "bytes",
        "Content-MD5": "0" * 32,
        "X-Content-Type-Options": "nosniff",
    }


def test_a_download_of_a_part() -> None:
    response = streaming.download(iter([b"bc"]), 5, (1, 3), None)

    assert (response.status_code, b"".join(response)) == (206, b"bc")
    assert response.headers["Content-Range"] == "bytes 1-2/5"
    assert response.headers["Content-Length"] == "2"
    assert "Content-MD5" not in response.headers


def test_a_download_of_nothing() -> None:
    response = streaming.download(iter([]), 0, None, None)

    assert (response.headers["Content-Length"], b"".join(response)) == ("0", b"")


def test_data_that_ends_early_is_an_error() -> None:
    with pytest.raises(errors.StoreError, match="1 bytes early"):
        list(streaming.download(iter([b"abcd"]), 5, None, None))


def test_more_data_than_promised_is_not_sent() -> None:
    assert (
        b"".join(streaming.download(iter([b"abc", b"def"]), 5, None, None)) == b"abcde"
    )


@pytest.mark.django_db  # Django looks at its connections when a response is closed
@pytest.mark.parametrize("begun", [True, False])
def test_a_closed_download_closes_its_source(begun: bool) -> None:
    class Source:
        closed = False

        def __iter__(self) -> Source:
            return self

        def __next__(self) -> bytes:
            return b"block"

        def close(self) -> None:
            self.closed = True

    source = Source()
    response = streaming.download(source, 50, None, None)
    if begun:
        next(iter(response))
    response.close()

    assert source.closed
