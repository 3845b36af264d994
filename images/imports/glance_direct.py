"""The import method glance-direct: staged data becomes the image's data."""

from __future__ import annotations

from images import errors, lifecycle
from images.access import Caller
from images.failpoints import failpoint
from images.imports import plugins, published_digests
from images.imports.plugins import ApplyPlugins
from images.imports.request import ImportRequest
from images.models import Image, Status, Transfer, TransferKind, TransferStatus
from images.transfers import chunks, leases, quota
from images.transfers.targets import Targets
from images.transfers.tasks import Task
from images.transitions import follow


def check_status(status: str) -> None:
    """Raise Conflict unless the status is ``uploading``: only then an image can have staged data."""
    if status != Status.UPLOADING:
        raise errors.Conflict(
            "Image needs to be staged before 'glance-direct' method can be used"
        )


def prepare(wanted: ImportRequest) -> ImportRequest:
    """Return the request unchanged: this method has nothing to check before the row is locked."""
    return wanted


def queue(
    image: Image, wanted: ImportRequest, targets: Targets, actor: Caller, task: Task
) -> bool:
    """Queue the import of a locked image's staged data; return True.

    The staged data now expires after IMAGECATALOG_UPLOAD_EXPIRY seconds. Raises Conflict if the
    data has not arrived yet, or belongs to a resumable upload, OverLimit if several copies
    exceed the quota, and Invalid if the request states another digest than the client stated
    when it sent the data.
    """
    staged = Transfer.objects.staging().filter(image=image).first()
    if not (staged and staged.import_method and staged.is_complete):
        raise errors.Conflict("The data is not staged yet. Try again when it is.")
    for algorithm, digest in wanted.digests.items():
        if staged.expected_digests.get(algorithm, digest) != digest:
            raise errors.Invalid(
                f"The data was staged with another {algorithm} than is expected now."
            )
    staged.deadline = leases.deadline(TransferKind.STAGE)
    if len(targets) > 1:
        size = staged.bytes_expected
        staged.bytes_reserved = quota.reserve(image, size, len(targets))
    staged.save(update_fields=["deadline", "bytes_reserved"])
    leases.begin(
        image,
        TransferKind.IMPORT,
        targets.first,
        actor,
        expected=staged.bytes_expected if wanted.size is None else wanted.size,
        status_on_failure=Status.UPLOADING,
        digests={**staged.expected_digests, **wanted.digests},
        secrets=published_digests.secrets(wanted),
        reserved=staged.bytes_reserved,
        task=task,
        wanted=targets,
    )
    follow(image, image.mark_importing, "import", actor)
    return True


def bring_in(
    image: Image,
    transfer: Transfer,
    apply_plugins: ApplyPlugins,
    actor: Caller,
) -> None:
    """Import the staged data of an image into the target stores of the transfer.

    After a temporary error the staged data is kept and the image is ``uploading`` again; after
    any other error the image is ``queued``.

    ``apply_plugins`` returns the blocks as plugins change them; reading them raises ServerStopping
    when the worker is stopping. Raises the errors of ``lifecycle.receive``.
    """
    failpoint("import.begun")
    staged = _newest(transfer)
    extended = Transfer.objects.filter(pk=staged.pk, status=TransferStatus.RUNNING)
    extended.update(deadline=leases.deadline(TransferKind.IMPORT))
    unchanged = not plugins.can_change(image, transfer)
    blocks, source = apply_plugins(chunks.read(staged))
    lifecycle.receive_staged(
        image, transfer, blocks, actor, staged, unchanged=unchanged, source=source
    )


def _newest(transfer: Transfer) -> Transfer:
    staged = Transfer.objects.filter(image=transfer.image_id, kind=TransferKind.STAGE)
    return staged.latest("started_at")
