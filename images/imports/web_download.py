"""The import method web-download: a worker reads an image's data from a URL.

New locations, whose data stays at the URL, are read and checked in the same way.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from images import errors, lifecycle, stores
from images.access import Caller
from images.failpoints import failpoint
from images.imports import published_digests
from images.imports.plugins import ApplyPlugins
from images.imports.request import ImportRequest
from images.models import Image, Status, Transfer, TransferKind
from images.transfers import sources
from images.transfers.targets import Targets
from images.transfers.tasks import Task


def check_status(status: str) -> None:
    """Raise Conflict unless the status is ``queued``: only then the image can get this data."""
    if status != Status.QUEUED:
        raise errors.Conflict(
            f"Image with status {status} cannot be target for a web download. It must "
            "be queued."
        )


def prepare(wanted: ImportRequest) -> ImportRequest:
    """Check the URL, and return the request with the size that the web server reports.

    If the request already has the size that the client expects, it is kept. Raises Invalid if
    there is no URL or the URL is refused, OverLimit if the size exceeds the cap.
    """
    if not wanted.uri:
        raise errors.Invalid("The method 'web-download' needs a 'uri'.")
    source = lifecycle.probe_source(lifecycle.Source(wanted.uri, size=wanted.size))
    return replace(wanted, size=source.size)


def queue(
    image: Image, wanted: ImportRequest, targets: Targets, actor: Caller, task: Task
) -> bool:
    """Queue a web download for a locked image; return True.

    Raises Conflict if the image is pinned to data of another size, OverLimit for a full quota,
    StoreReadOnly.
    """
    source = lifecycle.Source(
        wanted.uri,
        size=wanted.size,
        digests=wanted.digests,
        status_on_failure=Status.QUEUED,
        secrets=published_digests.secrets(wanted),
    )
    lifecycle.queue_fetch(image, source, actor, task, targets)
    return True


def bring_in(
    image: Image,
    transfer: Transfer,
    apply_plugins: ApplyPlugins,
    actor: Caller,
) -> None:
    """Download the data at a URL and store it; for a new location, only read and check the data.

    ``apply_plugins`` returns the blocks as plugins change them; reading them raises ServerStopping
    when the worker is stopping. Raises the errors of ``lifecycle.receive``.
    """
    failpoint(f"{TransferKind(transfer.kind).name.lower()}.claimed")
    blocks, source = apply_plugins(_blocks(transfer))
    lifecycle.receive(image, transfer, blocks, actor, source=source)


def _blocks(transfer: Transfer) -> Iterator[bytes]:
    for block in stores.HTTP.open(sources.url(transfer)):
        yield block
        if transfer.kind == TransferKind.WEB_DOWNLOAD:
            failpoint("web_download.streaming")
    if transfer.kind == TransferKind.WEB_DOWNLOAD:
        failpoint("web_download.received")
