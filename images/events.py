"""The history of images: every change of an image writes an event, in the same transaction."""

from __future__ import annotations

import logging
from functools import partial
from typing import Any

from django.conf import settings
from django.db import transaction

from images import request_rate
from images.access import Caller
from images.attributes import FAMILY_PROPERTIES
from images.logs import word
from images.models import Event, Image, writing
from images.models.publication import note_change_of_image

log = logging.getLogger(__name__)

FAILURES = ("fail", "lose")  # verbs
CHANGED_TOO_OFTEN = "Your project changes this image too often."
FIGURES = ("transfer", "received", "size", "store", "damage")  # details


def record(
    image: Image,
    verb: str,
    actor: Caller,
    *,
    before: str,
    reason: str = "",
    detail: dict[str, Any] | None = None,
) -> None:
    """Write an event into the image's history; log it once the transaction is committed.

    ``before`` is the image's status before the change; ``image.status`` is recorded as the
    status after it. ``verb`` names the change, such as ``update``; ``detail`` has its values, to
    which the details of the actor are added. Raises TooManyRequests if the actor's project changes
    the image too often without a change of its status; commands and workers have no such limit.
    """
    if before == image.status:
        count_change(f"image {image.pk}", actor, CHANGED_TOO_OFTEN)
    event = Event(
        image=image,
        verb=verb,
        from_status=before,
        to_status=image.status,
        actor=actor.user,
        project=actor.project or "",
        interface=actor.interface,
        request_id=actor.request_id,
        reason=reason,
        detail={**(detail or {}), **actor.detail},
    )
    writing.insert(event)
    # A change by the family is noted with the change of the family, and has its name. For a property
    # of the image that is called "family", a list has the values before and after.
    is_by_family = isinstance(event.detail.get("family"), str)
    if FAMILY_PROPERTIES & image.properties.keys() and not is_by_family:
        note_change_of_image(image.pk)
    transaction.on_commit(partial(_log, event, actor))


def count_change(changed: str, actor: Caller, sentence: str) -> None:
    """Count a change of an object by the actor's project, for the limit on frequent changes.

    ``changed`` names the object, such as ``image ID``. Raises TooManyRequests, with the message
    ``sentence``, if the project changes the object too often; commands and workers have no such
    limit.
    """
    if actor.interface in ("command", "worker"):
        return
    most = settings.IMAGECATALOG_IMAGE_CHANGE_RATE
    key = f"{changed} {actor.project or ''}"
    request_rate.count(key, most, request_rate.BURST * most, sentence)


def _log(event: Event, actor: Caller) -> None:
    facts = {
        "image": event.image_id,
        "verb": event.verb,
        "from": event.from_status,
        "to": event.to_status,
        **_figures(event),
        "reason": event.reason,
    }
    words = [f"{name}={word(value)}" for name, value in facts.items() if value]
    log.log(_level(event), "%s", " ".join(words), extra={"context": actor.log_context})


def _figures(event: Event) -> dict[str, str]:
    if event.verb == "update":  # its details are named by users
        return {}
    return {name: str(event.detail[name]) for name in FIGURES if event.detail.get(name)}


def _level(event: Event) -> int:
    damaged = event.verb == "verify" and event.detail.get("damage")
    return logging.WARNING if damaged or event.verb in FAILURES else logging.INFO
