"""The import method copy-image: an image's data is copied from one of its stores to other stores."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from typing import cast

from images import lifecycle
from images.access import Caller
from images.failpoints import failpoint
from images.imports.plugins import ApplyPlugins
from images.imports.request import ImportRequest
from images.models import Image, Transfer
from images.stores import Blocks
from images.transfers.targets import Targets
from images.transfers.tasks import Task


def check_status(status: str) -> None:
    """Raise Conflict unless the status is ``active``: only active images can be copied."""
    lifecycle.check_copied(status)


def prepare(wanted: ImportRequest) -> ImportRequest:
    """Return the request unchanged: this method has nothing to check before the row is locked."""
    return wanted


def queue(
    image: Image, wanted: ImportRequest, targets: Targets, actor: Caller, task: Task
) -> bool:
    """Queue the copy of a locked image's data to other stores, and return True.

    If the request is for all stores, only the stores without the data are targets. Returns
    False, and queues nothing, if all of them have the data already. Raises Invalid if the
    request names a store that has the data already, OverLimit for too many locations or a full
    quota.
    """
    if wanted.all_stores:
        present = lifecycle.stores_with_data(image)
        left = tuple(one for one in targets.stores if one.id not in present)
        targets = Targets(left, targets.all_must_succeed)
    if not targets:
        return False
    lifecycle.queue_image_copy(image, targets, actor, task)
    return True


def bring_in(
    image: Image,
    transfer: Transfer,
    apply_plugins: ApplyPlugins,
    actor: Caller,
) -> None:
    """Copy the image's data to the target stores of the transfer, from the first readable copy.

    ``apply_plugins`` returns the blocks as plugins change them; reading them raises ServerStopping
    when the worker is stopping. Raises the errors of ``lifecycle.receive``.
    """
    failpoint("image_copy.claimed")
    blocks, source = apply_plugins(_blocks(image))
    lifecycle.receive(image, transfer, blocks, actor, source=source)


def _blocks(image: Image) -> Iterator[bytes]:
    with closing(cast(Blocks, lifecycle.read(image.pk))) as blocks:
        yield from blocks
