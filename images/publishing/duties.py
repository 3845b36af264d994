"""The background work of publishing."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from django.conf import settings
from django.utils import timezone

from images.duty import Duty
from images.models import (
    Publication,
    PublicationChange,
    PublishedIndex,
    PublishedTree,
)
from images.publishing import preparation, renewal, signatures

PERIOD: Final = 2.0  # seconds
# All publications are made anew so often, in case that a change was not noted: by a process of
# the previous release.
WHOLE_EVERY: Final = timedelta(hours=1)


def publish() -> None:
    """Renew what is published, and sign it; remove it if nothing is published."""
    if settings.IMAGECATALOG_PUBLISH == "off":
        _remove_all()
        return
    for project in _trees():
        renewal.renew(project, whole=_is_old(project))
        if settings.IMAGECATALOG_PUBLISH_KEY:
            signatures.sign(project)


def prepare() -> None:
    """Prepare versions, if the service publishes any."""
    if settings.IMAGECATALOG_PUBLISH != "off":
        preparation.prepare_due()


def _trees() -> list[str]:
    """Return the trees that exist, and those that have changes."""
    known = PublishedTree.objects.values_list("pk", flat=True)
    changed = PublicationChange.objects.values_list("tree", flat=True)
    return sorted({*known, *changed})


def _is_old(project: str) -> bool:
    old = PublishedTree.objects.filter(
        pk=project, refreshed_at__lt=timezone.now() - WHOLE_EVERY
    )
    return old.exists()


def _remove_all() -> None:
    for model in (PublishedTree, PublishedIndex, Publication, PublicationChange):
        rows = model._default_manager.all()
        if rows.exists():  # a deletion of nothing waits for other writers on SQLite
            rows.delete()


# Two, because the preparation of a large image can take an hour.
DUTIES = (
    Duty("prepare published versions", prepare, PERIOD, may_block=True),
    Duty("publish", publish, PERIOD, may_block=True),
)
