"""Digests of a stream: right, in step with the stream, and never with a thread left behind."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator

import pytest

from images.stores.digests import Digests, digesting

MIB = 1 << 20


def test_digests_are_those_of_the_whole_stream() -> None:
    blocks = [bytes([n]) * MIB for n in range(20)] + [b"", b"tail"]

    with Digests("md5", "sha512") as digests:
        passed = list(digesting(blocks, digests))
        found = digests.hexdigests()

    whole = b"".join(blocks)
    assert b"".join(passed) == whole
    assert digests.size == len(whole)
    assert found == {
        "md5": hashlib.md5(whole).hexdigest(),
        "sha512": hashlib.sha512(whole).hexdigest(),
    }


def test_blocks_are_passed_on_without_a_copy() -> None:
    block = b"x" * MIB

    with Digests("md5") as digests:
        assert next(digesting([block], digests)) is block


def test_no_bytes_have_digests_too() -> None:
    with Digests("sha256") as digests:
        assert digests.hexdigests() == {"sha256": hashlib.sha256().hexdigest()}


def test_the_digests_can_be_asked_for_again_and_again() -> None:
    with Digests("md5") as digests:
        digests.feed(b"abc")
        answers = [digests.hexdigests() for _ in range(10)]

    assert answers == [{"md5": hashlib.md5(b"abc").hexdigest()}] * 10


def test_no_thread_is_left_behind_when_the_stream_breaks_off() -> None:
    def broken() -> Iterator[bytes]:
        for _ in range(10):
            yield b"x" * MIB
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError), Digests("md5", "sha512") as digests:
        list(digesting(broken(), digests))

    assert _threads() == []


def test_no_thread_is_left_behind_when_nobody_asks_for_the_result() -> None:
    with Digests("md5", "sha512") as digests:
        next(digesting([b"x" * MIB] * 10, digests))

    assert _threads() == []


def test_an_error_of_a_thread_comes_out_of_the_feeding_and_blocks_nobody() -> None:
    texts = ["text is not bytes"] * 50

    with pytest.raises(TypeError), Digests("md5", "sha512") as digests:
        list(digesting(texts, digests))  # type: ignore[arg-type]

    assert _threads() == []


def test_an_error_of_a_thread_comes_out_of_the_result() -> None:
    with Digests("md5") as digests:
        digests.feed("text is not bytes")  # type: ignore[arg-type]
        with pytest.raises(TypeError):
            digests.hexdigests()


def test_feeding_after_the_end_is_refused_instead_of_waiting_for_ever() -> None:
    with Digests("md5") as digests:
        digests.hexdigests()
        with pytest.raises(RuntimeError):
            digests.feed(b"late")


def test_an_unknown_algorithm_is_refused_at_once() -> None:
    with pytest.raises(ValueError, match="nonsense"):
        Digests("md5", "nonsense")


def _threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("digest-")]
