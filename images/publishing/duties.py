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
    """Renew and sign all published trees; remove them if IMAGECATALOG_PUBLISH is ``off``."""
    if settings.IMAGECATALOG_PUBLISH == "off":
        _remove_all()
        return
    # First looked up: on SQLite, `renew` waits for other writers even if it changes nothing.
    old = _old_trees()
    due = old | renewal.trees_to_renew()
    for project in sorted(due | _trees()):
        if project in due:
            renewal.renew(project, whole=project in old)
        if settings.IMAGECATALOG_PUBLISH_KEY:
            signatures.sign(project)


def prepare() -> None:
    """Prepare the versions of published families, unless IMAGECATALOG_PUBLISH is ``off``."""
    if settings.IMAGECATALOG_PUBLISH != "off":
        preparation.prepare_due()


def _trees() -> set[str]:
    return set(PublishedTree.objects.values_list("pk", flat=True))


def _old_trees() -> set[str]:
    limit = timezone.now() - WHOLE_EVERY
    old = PublishedTree.objects.filter(refreshed_at__lt=limit)
    return set(old.values_list("pk", flat=True))


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
