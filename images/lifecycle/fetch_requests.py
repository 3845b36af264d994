"""Requests for web downloads: checked at once, carried out later by a background worker."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from images import attributes, db, errors, stores
from images.access import Caller
from images.attributes import Changes
from images.failpoints import failpoint
from images.lifecycle.changes import change, clean_changes
from images.lifecycle.checked_data import (
    check_pinned_size,
    check_ready,
    check_size_cap,
)
from images.lifecycle.location_preparation import URL_STORE
from images.lifecycle.storing import writable_store
from images.models import Image, Status, Transfer, TransferKind, TransferStatus
from images.stores import url_filter
from images.transfers import concurrency, leases, quota
from images.transfers.targets import Targets
from images.transfers.tasks import Task
from images.transitions import follow, locked, save

MAX_URL = 2048  # characters


@dataclass(frozen=True)
class Source:
    """The URL of a web download, its target store, and the claimed size and digests of its data.

    ``secrets`` are values, by name, that are needed to read the URL, such as credentials. They
    are stored encrypted.
    """

    url: str
    size: int | None = None  # bytes
    checksum: str | None = None  # MD5, hexadecimal
    store_id: str | None = None
    status_on_failure: Status = Status.KILLED  # of the image, when the download fails
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)
    digests: Mapping[str, str] = field(default_factory=dict)  # expected, by algorithm


def probe_source(source: Source) -> Source:
    """Check the source of a web download; return it with the size that its web server reports.

    If the source already has a size, it is kept, and the server is not asked. The size is None
    if the server does not report it. Raises Invalid if the URL is refused or the store does not
    exist, StoreReadOnly, and OverLimit if the size exceeds the cap.
    """
    check_url(source.url, "source")
    writable_store(source.store_id)
    size = _reported_size(source.url) if source.size is None else source.size
    check_size_cap(size)
    return replace(source, size=size)


def check_url(url: str, what: str) -> None:
    """Raise Invalid if the URL filter refuses a URL, or the URL is too long or not text.

    ``what`` is the name of the URL in the message, such as "source".
    """
    attributes.clean_text(url, what, longest=MAX_URL)
    url_filter.check(url)


def _reported_size(url: str) -> int | None:
    db.release_connection()
    with concurrency.slot(concurrency.PROBES):
        try:
            return stores.get(URL_STORE).size(url)
        except errors.StoreError:
            return None  # the download itself reports the error


def request_fetch(
    image_id: str, source: Source, changes: Changes, actor: Caller
) -> None:
    """Change a queued image and request a web download of its data: both, or neither.

    Raises NotFound, AlreadyBegun if the image is not queued, Conflict if a web download is
    waiting already or the image is pinned to data of another size, Forbidden for a change that
    is not allowed, and Invalid, OverLimit or StoreReadOnly for a source that is not accepted.
    """
    changes, source = clean_changes(changes), probe_source(source)
    with locked(image_id, actor) as image:
        change(image, changes, actor)
        _check_can_fetch(image)
        queue_fetch(image, source, actor)
    failpoint("web_download.requested")


def _check_can_fetch(image: Image) -> None:
    """Raise an error unless a locked image is queued, can receive data, and has no waiting download."""
    if image.status != Status.QUEUED:
        raise errors.AlreadyBegun(
            "Attempted to update Location field for an image not in queued status."
        )
    check_ready(image)
    waiting = Transfer.objects.filter(image=image, status=TransferStatus.WAITING)
    if waiting.exists():
        raise errors.Conflict(
            f"A web download for image {image.pk} is waiting already."
        )


def queue_fetch(
    image: Image,
    source: Source,
    actor: Caller,
    task: Task | None = None,
    wanted: Targets | None = None,
) -> None:
    """Queue a web download for a locked image, from a source that ``probe_source`` has returned.

    The caller must have checked that the image is queued and can receive data. ``task`` is the
    request of a client of the import API, if there is one; then the image's status becomes
    ``importing`` at once. ``wanted`` are the target stores of a task; without it the target is
    the store of the source.

    Raises Conflict if the image is pinned to data of another size, OverLimit for a full quota,
    StoreReadOnly.
    """
    check_pinned_size(image, source.size)
    quota.check_uploading(image)
    reserved = quota.reserve(image, source.size, len(wanted) if wanted else 1)
    quota.check_staging(image, source.size or 0)
    transfer = leases.begin(
        image,
        TransferKind.WEB_DOWNLOAD,
        wanted.first if wanted else writable_store(source.store_id),
        actor,
        expected=source.size,
        status_on_failure=source.status_on_failure,
        checksum=source.checksum,
        digests=source.digests,
        source=source.url,
        secrets=source.secrets,
        reserved=reserved,
        task=task,
        wanted=wanted,
    )
    if not image.pinned and source.size not in (None, image.size):
        image.size = source.size
        save(image, "size")
    if task:
        follow(image, image.mark_importing, "import", actor)
    else:
        leases.record_fetch_request(image, transfer, actor)
