"""Clients that vanish in the middle: nothing is left of it, and another attempt works."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable

import pytest

from tests.servers import Service
from tests.wire.api import Api, connect, head, reset, upload_head
from tests.wire.evidence import Evidence

pytestmark = pytest.mark.usefixtures("no_traceback")
MIB = 1 << 20
DATA = os.urandom(12 * MIB)  # more than one part of an upload to S3

COUNTED = f"Content-Length: {len(DATA) + 1}", DATA
CHUNKED = "Transfer-Encoding: chunked", b"%x\r\n%s" % (len(DATA) + 1, DATA)
BETWEEN_CHUNKS = "Transfer-Encoding: chunked", b"%x\r\n%s\r\n" % (len(DATA), DATA)
NOT_A_BYTE = "Content-Length: 5", b""


@pytest.mark.parametrize("leave", [socket.socket.close, reset], ids=["FIN", "RST"])
@pytest.mark.parametrize(
    ("framing", "sent"),
    [COUNTED, CHUNKED, BETWEEN_CHUNKS, NOT_A_BYTE],
    ids=["counted", "chunked", "between-chunks", "not-a-byte"],
)
def test_an_upload_that_breaks_off_leaves_nothing_and_can_be_repeated(
    catalogue: Service,
    api: Api,
    evidence: Evidence,
    framing: str,
    sent: bytes,
    leave: Callable[[socket.socket], None],
) -> None:
    image_id = api.new()
    sock = connect(catalogue)
    sock.sendall(upload_head(catalogue, image_id, framing))
    evidence.wait_for(image_id, "saving")
    sock.sendall(sent)
    leave(sock)

    evidence.wait_for(image_id, "queued")
    evidence.wait_for_nothing_left(image_id)
    assert api.image(image_id)["size"] is None
    assert api.upload(image_id, DATA).status_code == 204
    assert api.data(image_id) == DATA


def test_an_image_deleted_during_its_upload_leaves_no_bytes(
    catalogue: Service, api: Api, evidence: Evidence
) -> None:
    image_id = api.new()
    with connect(catalogue) as sock:
        sock.sendall(upload_head(catalogue, image_id, COUNTED[0]) + DATA)
        evidence.wait_for(image_id, "saving")
        assert api.delete(f"images/{image_id}").status_code == 204
        sock.sendall(b"!")
        answer = sock.recv(MIB)

    assert answer.startswith(b"HTTP/1.1 410 ")
    assert evidence.status(image_id) == "deleted"
    evidence.wait_for_nothing_left(image_id)


def test_a_reader_that_goes_away_harms_nobody(catalogue: Service, api: Api) -> None:
    image_id = api.new()
    assert api.upload(image_id, DATA).status_code == 204

    for _ in range(40):  # more than one process has threads
        sock = connect(catalogue)
        sock.sendall(head(catalogue, "GET", f"/v2/images/{image_id}/file"))
        assert sock.recv(1000).startswith(b"HTTP/1.1 200 ")
        reset(sock)

    assert api.data(image_id) == DATA
