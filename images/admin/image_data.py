"""The locations and transfers of an image, prepared for its page "Data"."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from images import errors, stores
from images.admin import formatting, transfer_notes, transfer_views
from images.admin.actions import ACTIONS, may
from images.models import Image, ImageLocation, LocationStatus, Status, Transfer

REMOVING = "images.delete_imagelocation"  # permissions
ADDING = "images.add_imagelocation"


def present(image: Image) -> list[ImageLocation]:
    """Return the locations of an image that are not deleted, oldest first. One query."""
    locations = image.locations.exclude(status=LocationStatus.DELETED)
    return list(locations.order_by("pk"))


def can_add_location(request: HttpRequest, image: Image) -> bool:
    """Return whether this user can add a location to an image now."""
    return may(request, ADDING) and image.status in (Status.QUEUED, Status.ACTIVE)


def locations(
    request: HttpRequest, image: Image, rows: Iterable[ImageLocation]
) -> dict[str, Any]:
    """Return the template context of the table of an image's locations ``rows``."""
    removing = may(request, REMOVING)
    # All copies of an image have the same digest.
    algorithm, digest = _strongest_digest(image)
    return {
        "size": formatting.size(image.size),
        "algorithm": algorithm,
        "digest": digest,
        "removing": removing,
        "locations": [
            {
                "location": location,
                # A URL may contain secrets, so that viewers do not see it.
                "url": _url(location) if removing else "",
                "removable": removing
                and location.status == LocationStatus.ACTIVE
                and image.status == Status.ACTIVE,
                "badge": formatting.badge(location.status),
                "damage": damage(location),
                "created": formatting.ago(location.created_at),
                "verified": formatting.ago(location.verified_at),
            }
            for location in rows
        ],
    }


def _strongest_digest(image: Image) -> tuple[str, str]:
    """Return the algorithm and the value of the strongest digest of an image.

    Both are empty if the image has no digest.
    """
    if image.os_hash_value:
        return image.os_hash_algo or "", image.os_hash_value
    return ("MD5", image.checksum) if image.checksum else ("", "")


def damage(location: ImageLocation) -> str:
    """Return a sentence on the damage of a location's data; empty if none is known."""
    if location.damage.startswith("wrong-digest:"):
        return _("Checksum mismatch: the stored data has changed since upload.")
    return location.damage


def _url(location: ImageLocation) -> str:
    try:
        return stores.get_for_location(location.store).url(location.key)
    except errors.StoreError as error:
        return str(error)


def transfers(
    request: HttpRequest, image: Image, newest: Sequence[Transfer]
) -> list[dict[str, Any]]:
    """Return the rows of the table of an image's transfers, for the transfers in ``newest``."""
    retries = transfer_views.may_import(request, image)
    cancelling = may(request, ACTIONS["fail"].permission)
    return [
        {
            "transfer": transfer,
            "kind": formatting.kind(transfer),
            "badge": formatting.work_badge(transfer),
            "source": transfer_notes.source(request, transfer),
            "bar": formatting.bar(transfer),
            "rate": formatting.progress(transfer)["rate"],
            "started": formatting.ago(transfer.started_at),
            "heartbeat": formatting.ago(transfer.heartbeat_at),
            "cancel": cancelling and transfer.is_open,
            "retry": retries and transfer_views.can_retry(transfer),
        }
        for transfer in newest
    ]
