"""Manual transitions: the statuses an operator can choose, and the operation for each."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from django.conf import settings

from images import errors
from images.access import Caller, missing
from images.events import record
from images.lifecycle.deactivation import deactivate, reactivate
from images.lifecycle.deletion import delete, restore, scrub
from images.models import TRANSIENT_STATUSES, Image, Status, Transfer
from images.operations.repair import unstick
from images.stores.circuit_breaker import CircuitBreaker
from images.transfers import leases, targets
from images.transitions import locked

Verb = Callable[[str, Caller, str], None]

TOGGLES: dict[str, tuple[Status, Verb]] = {
    Status.ACTIVE: (Status.DEACTIVATED, deactivate),
    Status.DEACTIVATED: (Status.ACTIVE, reactivate),
}


def possible_transitions(image_id: str) -> dict[str, str]:
    """Return the statuses that an operator can give an image now: status -> name of the operation.

    Raises NotFound if there is no such image.
    """
    return {
        target: verb.__name__ for target, verb in _operations(_image(image_id)).items()
    }


def transition_to(image_id: str, target: str, actor: Caller, reason: str) -> None:
    """Bring an image to the status ``target`` by the operation that leads to this status.

    Raises Conflict, which names the possible statuses, if no operation leads to ``target``,
    NotFound if there is no such image, and the errors of the operation.
    """
    image = _image(image_id)
    possible = _operations(image)
    if target not in possible:
        raise errors.Conflict(
            f"Image {image_id} is '{image.status}' and cannot become '{target}' by hand. "
            f"Possible: {', '.join(possible) or 'none, it is deleted permanently'}."
        )
    possible[target](image_id, actor, reason)


def fail(image_id: str, actor: Caller, reason: str = "") -> None:
    """End the transfers of an image as failed; the image is then queued, or killed (API v1).

    An image that no transfer owns is queued. Raises NotFound, and Conflict unless the
    image is saving, uploading or importing.
    """
    error = _ended_by_operator(reason)
    ended = [
        leases.fail(transfer, error, actor) for transfer in _owning_transfers(image_id)
    ]
    if not any(ended):
        unstick(image_id, actor, reason)


def cancel(transfer_id: UUID, actor: Caller, reason: str = "") -> None:
    """End an open transfer as failed; reset the image's status if the transfer owns it.

    An image keeps its status when its transfer is a copy to another store, or a web download
    that no worker has begun. Raises NotFound if there is no such transfer, and Conflict if it
    has ended.
    """
    transfers = Transfer.objects.filter(pk=transfer_id)
    image_id = transfers.values_list("image", flat=True).first()
    if image_id is None:
        raise errors.NotFound(f"There is no transfer {transfer_id}.")
    if transfers.owning().exists():
        fail(image_id, actor, reason)
        return
    error = _ended_by_operator(reason)
    with locked(image_id, deleted=True) as image:
        transfer = transfers.get()
        waited = leases.cancel_waiting(transfer, error)
        if not (waited or leases.abort(transfer, error, actor)):
            raise errors.Conflict("The transfer has ended already.")
        names = ",".join(target.store for target in targets.of(transfer))
        detail = {"transfer": str(transfer.pk), "store": names}
        record(image, "fail", actor, before=image.status, reason=reason, detail=detail)
    if not waited:
        leases.clean(transfer, CircuitBreaker(), abandoned=True)


def _ended_by_operator(reason: str) -> errors.Gone:
    return errors.Gone(f"An operator ended the transfer. {reason}".strip())


def _image(image_id: str) -> Image:
    image = Image.objects.filter(pk=image_id).first()
    if image is None:
        raise missing(image_id)
    return image


def _owning_transfers(image_id: str) -> list[Transfer]:
    return list(Transfer.objects.owning().filter(image=image_id))


def _operations(image: Image) -> dict[str, Verb]:
    if image.status == Status.DELETED:
        return {}
    if image.status == Status.PENDING_DELETE:
        return {image.status_before_delete: restore, Status.DELETED: scrub}
    if image.status in TRANSIENT_STATUSES:
        status_on_failure = {
            transfer.status_on_failure for transfer in _owning_transfers(image.pk)
        }
        # When an import of staged data fails manually, `fail` also ends its upload.
        target = next(iter(status_on_failure - {Status.IMPORTING}), Status.QUEUED)
        return {target: fail, Status.DELETED: delete}
    if image.status not in TOGGLES:
        return {Status.DELETED: delete}
    target, verb = TOGGLES[image.status]
    to_trash = settings.IMAGECATALOG_DELAYED_DELETE
    return {target: verb, Status.PENDING_DELETE if to_trash else Status.DELETED: delete}
