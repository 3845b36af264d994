"""The failures of stores, as the metrics count them."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from images import errors
from images.stores import HTTP, free_space
from images.stores.local import LocalStore

Counts = Callable[[], dict[tuple[str, ...], float]]
KEY, OTHER = "ab/image.1", "ab/image.2"


@pytest.fixture
def store(tmp_path: Path) -> LocalStore:
    store = LocalStore("local", tmp_path / "images")
    store.put(KEY, [b"data"])
    return store


def failures(counts: Counts) -> dict[tuple[str, ...], float]:
    """Return what was counted: kind, operation, store -> number."""
    found = counts().items()
    return {key[1:]: value for key, value in found if key[0] == "store_errors_total"}


def test_an_object_that_is_gone_counts_when_it_is_read(
    store: LocalStore, counts: Counts
) -> None:
    for ask in (store.size, store.delete, store.open):
        with suppress(errors.DataMissing):
            ask(OTHER)

    assert failures(counts) == {("missing", "read", "local"): 1}


def test_a_folder_that_fails_counts_for_each_operation(
    store: LocalStore, counts: Counts
) -> None:
    store.root.rename(store.root.with_name("away"))
    store.root.touch()
    for ask in (store.size, store.delete, store.open):
        with pytest.raises(errors.StoreError):
            ask(KEY)
    with pytest.raises(errors.StoreError):
        store.put(OTHER, [b"x"])

    operations = "size", "delete", "read", "write"
    assert failures(counts) == {("failed", it, "local"): 1 for it in operations}


def test_a_full_store_counts_as_full(
    store: LocalStore, counts: Counts, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise free_space.full()

    monkeypatch.setattr(free_space, "Claim", refuse)
    with pytest.raises(errors.StoreFull):
        store.put(OTHER, [b"x"])

    assert failures(counts) == {("full", "write", "local"): 1}


def test_data_that_breaks_off_while_it_is_copied_counts_for_the_store_that_has_it(
    store: LocalStore, counts: Counts, tmp_path: Path
) -> None:
    blocks = store.open(KEY)
    os.truncate(store.root / KEY, 0)

    with pytest.raises(errors.StoreError, match="shorter"):
        LocalStore("far", tmp_path / "far").put(KEY, blocks)

    assert failures(counts) == {("failed", "read", "local"): 1}


def test_a_refusal_of_a_read_only_store_is_no_failure(counts: Counts) -> None:
    with pytest.raises(errors.StoreReadOnly):
        HTTP.put(KEY, [b"x"])

    assert failures(counts) == {}
