"""The import method copy-image: an image's data in one store is copied to a further one."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from typing import cast

from images import errors, lifecycle
from images.access import Caller
from images.failpoints import failpoint
from images.imports.request import ImportRequest
from images.models import Image, Status, Transfer
from images.stores import Blocks, Store
from images.transfers.tasks import Task


def check_status(status: str) -> None:
    """Raise Conflict unless an image of this status can be copied."""
    if status != Status.ACTIVE:
        raise errors.Conflict(
            f"Only an active image can be copied to another store. This one is {status}."
        )


def prepare(wanted: ImportRequest) -> ImportRequest:
    """Return the request unchanged: this method checks nothing before the lock."""
    return wanted


def queue(
    image: Image, wanted: ImportRequest, store: Store, actor: Caller, task: Task
) -> None:
    """Queue the copy of a locked image. Raises Invalid if the store has the data, OverLimit."""
    lifecycle.queue_image_copy(image, store, actor, task)


def bring_in(
    image: Image,
    transfer: Transfer,
    until_stopped: Callable[[Iterator[bytes]], Iterator[bytes]],
    actor: Caller,
) -> None:
    """Copy the image's data into the store of the transfer, from the first copy that opens.

    ``until_stopped`` passes the blocks on, and raises ServerStopping when the worker is
    stopping. Raises the errors of ``lifecycle.receive``.
    """
    failpoint("image_copy.claimed")
    lifecycle.receive(image, transfer, until_stopped(_blocks(image)), actor)


def _blocks(image: Image) -> Iterator[bytes]:
    with closing(cast(Blocks, lifecycle.read(image.pk))) as blocks:
        yield from blocks
