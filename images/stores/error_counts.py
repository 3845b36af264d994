"""Counts of the failures of stores, for the metrics."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from contextlib import closing, contextmanager
from functools import wraps
from typing import Concatenate, Final, ParamSpec, Protocol, TypeVar

from images import process_metrics
from images.errors import DataMissing, StoreError, StoreFull, StoreReadOnly

READ: Final = "read"
P = ParamSpec("P")
R = TypeVar("R")


class HasId(Protocol):
    """The part of the interface of a store that the counts need."""

    @property
    def id(self) -> str:
        """The id of the store in settings.IMAGECATALOG_STORES."""


S = TypeVar("S", bound=HasId)


@contextmanager
def counting(store_id: str, operation: str) -> Iterator[None]:
    """Count a StoreError that is raised within the context, unless it is counted already.

    An error of another store, from which the data comes, is counted for that store. An object that
    is not there counts only if it is to be read: in other operations it is allowed to be absent.
    """
    try:
        yield
    except StoreError as error:
        if not error.is_counted and _is_failure(error, operation):
            error.is_counted = True
            labels = _kind(error), operation, store_id
            process_metrics.count("store_errors_total", *labels)
        raise


def _is_failure(error: StoreError, operation: str) -> bool:
    if isinstance(error, DataMissing):
        return operation == READ
    return not isinstance(error, StoreReadOnly)


def _kind(error: StoreError) -> str:
    if isinstance(error, StoreFull):
        return "full"
    return "missing" if isinstance(error, DataMissing) else "failed"


def counted(
    operation: str,
) -> Callable[[Callable[Concatenate[S, P], R]], Callable[Concatenate[S, P], R]]:
    """Return a decorator for a method of a store, which counts the failures of the method."""

    def decorate(
        method: Callable[Concatenate[S, P], R],
    ) -> Callable[Concatenate[S, P], R]:
        @wraps(method)
        def call(store: S, /, *args: P.args, **options: P.kwargs) -> R:
            with counting(store.id, operation):
                return method(store, *args, **options)

        return call

    return decorate


def counted_blocks(
    store_id: str, blocks: Generator[bytes, None, None]
) -> Generator[bytes, None, None]:
    """Return the blocks of an object, and count a failure while they are read.

    The generator has begun already, so that its ``close()`` closes ``blocks``.
    """
    counting_blocks = _counting(store_id, blocks)
    next(counting_blocks)
    return counting_blocks


def _counting(
    store_id: str, blocks: Generator[bytes, None, None]
) -> Generator[bytes, None, None]:
    with closing(blocks), counting(store_id, READ):
        yield b""
        yield from blocks
