"""Where an operator can move an image to, by hand, and the verb that each move is."""

from __future__ import annotations

from collections.abc import Callable

from django.conf import settings

from images import errors
from images.access import Caller, missing
from images.lifecycle.deactivation import deactivate, reactivate
from images.lifecycle.deletion import delete, restore, scrub
from images.models import TRANSIENT_STATUSES, Image, Status, Transfer, TransferStatus
from images.operations.repair import unstick
from images.transfers import leases

Verb = Callable[[str, Caller, str], None]

TOGGLES: dict[str, tuple[Status, Verb]] = {
    Status.ACTIVE: (Status.DEACTIVATED, deactivate),
    Status.DEACTIVATED: (Status.ACTIVE, reactivate),
}


def possible_moves(image_id: str) -> dict[str, str]:
    """The statuses that ``move_to`` would lead to now -> the verb that leads there.

    Raises NotFound.
    """
    return {target: verb.__name__ for target, verb in _moves(_image(image_id)).items()}


def move_to(image_id: str, target: str, actor: Caller, reason: str) -> None:
    """Move an image to this status by the verb that leads there, with all that it does.

    Raises Conflict, which names the possible ones, where none does; and what the verb raises.
    """
    image = _image(image_id)
    possible = _moves(image)
    if target not in possible:
        raise errors.Conflict(
            f"Image {image_id} is '{image.status}' and cannot become '{target}' by hand. "
            f"Possible: {', '.join(possible) or 'nothing, it is gone for good'}."
        )
    possible[target](image_id, actor, reason)


def fail(image_id: str, actor: Caller, reason: str = "") -> None:
    """End whatever is bringing data in: the image returns to its resting status.

    Also returns an image to ``queued`` whose status nothing owns. Raises Conflict when the
    image is in no transient status, NotFound.
    """
    sentence = f"An operator ended the transfer. {reason}".strip()
    error = errors.Gone(sentence)
    ended = [leases.fail(one, error, actor) for one in _running(image_id)]
    if not any(ended):
        unstick(image_id, actor, reason)


def _image(image_id: str) -> Image:
    image = Image.objects.filter(pk=image_id).first()
    if image is None:
        raise missing(image_id)
    return image


def _running(image_id: str) -> list[Transfer]:
    running = Transfer.objects.filter(image=image_id, status=TransferStatus.RUNNING)
    return list(running)


def _moves(image: Image) -> dict[str, Verb]:
    if image.status == Status.DELETED:
        return {}
    if image.status == Status.PENDING_DELETE:
        return {image.status_before_delete: restore, Status.DELETED: scrub}
    if image.status in TRANSIENT_STATUSES:
        status_on_failure = {one.status_on_failure for one in _running(image.pk)}
        # With an attempt to import staged data the upload ends too, see `fail`.
        target = next(iter(status_on_failure - {Status.IMPORTING}), Status.QUEUED)
        return {target: fail, Status.DELETED: delete}
    if image.status not in TOGGLES:
        return {Status.DELETED: delete}
    target, verb = TOGGLES[image.status]
    kept = settings.IMAGECATALOG_DELAYED_DELETE
    return {target: verb, Status.PENDING_DELETE if kept else Status.DELETED: delete}
