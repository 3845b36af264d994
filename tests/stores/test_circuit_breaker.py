"""A store that fails several times in a row is not asked any more."""

from __future__ import annotations

from images.stores.circuit_breaker import THRESHOLD, CircuitBreaker


def test_a_store_is_open_after_consecutive_failures() -> None:
    breaker = CircuitBreaker()
    for _ in range(THRESHOLD - 1):
        breaker.failed("slow")
        assert not breaker.is_open("slow")

    breaker.failed("slow")

    assert breaker.is_open("slow")
    assert not breaker.is_open("other")
    assert breaker.open_stores() == ["slow"]


def test_a_success_resets_the_count_of_its_store() -> None:
    breaker = CircuitBreaker()
    for _ in range(THRESHOLD - 1):
        breaker.failed("slow")
    breaker.succeeded("slow")
    breaker.succeeded("never asked before")

    breaker.failed("slow")

    assert not breaker.is_open("slow")
    assert breaker.open_stores() == []
