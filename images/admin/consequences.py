"""Sentences for the user on what an action will do to one image, or has done to it."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from django.conf import settings
from django.db.models import Max
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from images import lifecycle
from images.admin import formatting
from images.admin.actions import Action, not_possible
from images.models import (
    READABLE_STATUSES,
    TRANSIENT_STATUSES,
    Image,
    Status,
    Transfer,
    TransferKind,
    TransferStatus,
)
from images.operations import manual_transitions, overview


def before(action: Action, image: Image) -> str:
    """Return a sentence on what an action will do to an image, or why it is not possible."""
    return not_possible(action, image) or _BEFORE[action.verb](image)


def _deactivate(image: Image) -> str:
    return _(
        "Blocks downloads for everyone except administrators. The data (%(size)s) stays "
        "in its stores."
    ) % {"size": _size(image)}


def _reactivate(image: Image) -> str:
    return _("Allows downloads for every user who can see the image.")


def _cancel(image: Image) -> str:
    target = next(
        status
        for status, verb in manual_transitions.possible_transitions(image.pk).items()
        if verb == "fail"
    )
    label = formatting.status_name(target)
    outcome = _("The image becomes %(status)s.")
    if target == Status.QUEUED:
        outcome = _("The image goes back to %(status)s, and you can upload again.")
    return f"{_cancelled(image)} {outcome % {'status': label}}"


def cancelling(image: Image, transfer: Transfer) -> str:
    """Return sentences on what happens to an image if its open transfer is cancelled."""
    if Transfer.objects.owning().filter(pk=transfer.pk).exists():
        return _cancel(image)
    outcome = _("The image stays %(status)s.") % {
        "status": formatting.status_name(image.status)
    }
    if transfer.status == TransferStatus.WAITING:
        kind = _KINDS[transfer.kind]()
        cancelled = _("Cancels the %(kind)s, which has not begun.") % {"kind": kind}
        return f"{cancelled} {outcome}"
    return f"{_discarded(transfer.kind, transfer.bytes_received)} {outcome}"


def copying(image: Image) -> str:
    """Return sentences on what copying an image to other stores does."""
    return _(
        "A background worker reads the %(size)s of the image, checks them, and stores "
        "them in each store that you choose. The image stays active meanwhile."
    ) % {"size": _size(image)}


def _restore(image: Image) -> str:
    return _(
        "Restores the image to %(status)s with its %(size)s, properties, tags and members."
    ) % {
        "status": formatting.status_name(image.status_before_delete or Status.ACTIVE),
        "size": _size(image),
    }


def _delete(image: Image) -> str:
    if image.status in TRANSIENT_STATUSES:
        return f"{_cancelled(image)} {_('Deletes the image permanently.')}"
    if image.status not in READABLE_STATUSES:
        return _("Deletes it permanently; there is no data to keep.")
    if not settings.IMAGECATALOG_DELAYED_DELETE:
        return _scrub(image)
    room = lifecycle.trash_room(image)
    if not room.fits:
        return f"{_('It is too large for the trash of its project.')} {_scrub(image)}"
    sentence = _(
        "Moves to the trash with its %(size)s. You can restore it until %(until)s."
    ) % {"size": _size(image), "until": restorable_until()}
    if not room.scrubbed:
        return sentence
    return f"{sentence} {_making_room(room.scrubbed)}"


def _making_room(number: int) -> str:
    sentence = ngettext(
        "The trash of its project is full: the oldest image there is deleted permanently.",
        "The trash of its project is full: the %(count)s oldest images there are deleted "
        "permanently.",
        number,
    )
    return sentence % {"count": f"{number:,}"}


def _scrub(image: Image) -> str:
    return _("Deletes the image permanently. You cannot restore it.")


def _size(image: Image) -> str:
    return formatting.amount(image.size or 0)


def restorable_until() -> str:
    """Return as text the time until which an image can be restored if it goes to the trash now."""
    return formatting.when(lifecycle.scrub_at(timezone.now()))


def _cancelled(image: Image) -> str:
    running = Transfer.objects.owning().filter(image=image)
    # An import of staged data runs beside its upload; both have received the same bytes.
    totals = running.aggregate(kind=Max("kind"), received=Max("bytes_received"))
    if totals["kind"] is None:
        return _("No transfer is running.")
    return _discarded(totals["kind"], totals["received"])


def _discarded(kind: str, received: int) -> str:
    words = {"kind": _KINDS[kind](), "size": formatting.amount(received)}
    if not received:  # no heartbeat has recorded a number yet
        return _("Cancels the %(kind)s and discards the data received so far.") % words
    return _("Cancels the %(kind)s and discards the %(size)s received so far.") % words


_KINDS: Mapping[str, Callable[[], str]] = {
    TransferKind.UPLOAD: lambda: _("upload"),
    TransferKind.STAGE: lambda: _("upload"),
    TransferKind.IMPORT: lambda: _("import"),
    TransferKind.WEB_DOWNLOAD: lambda: _("web download"),
    TransferKind.LOCATION: lambda: _("check of the location"),
    TransferKind.IMAGE_COPY: lambda: _("copy to another store"),
}
_BEFORE: Mapping[str, Callable[[Image], str]] = {
    "deactivate": _deactivate,
    "reactivate": _reactivate,
    "fail": _cancel,
    "restore": _restore,
    "delete": _delete,
    "scrub": _scrub,
}


def after(action: Action, image: Image) -> str:
    """Return a sentence on what an action has done. ``image`` was read after the action."""
    scrub_at = overview.scrub_at(image)
    if scrub_at:
        return _(
            "The image was moved to the trash. You can restore it until %(until)s."
        ) % {"until": formatting.when(scrub_at)}
    if image.status == Status.DELETED:
        return _("The image was deleted permanently.")
    sentence = _AFTER[action.verb]()
    return sentence % {"status": formatting.status(image.status)}


def nothing_changed(image: Image) -> str:
    """Return a sentence for an action that changes nothing, as the image has the status already."""
    words = {"status": formatting.status(image.status)}
    return _("The image is %(status)s already. Nothing was changed.") % words


_AFTER: Mapping[str, Callable[[], str]] = {
    "deactivate": lambda: _("The image was deactivated."),
    "reactivate": lambda: _("The image was reactivated."),
    "fail": lambda: _("Transfer cancelled. The image is %(status)s."),
    "restore": lambda: _("The image was restored. It is %(status)s."),
    "delete": lambda: _("The image was deleted."),
    "scrub": lambda: _("The image was deleted permanently."),
}
