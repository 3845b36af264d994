"""The publication of a family, for its page in the admin: its URL, and why versions are missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from django.conf import settings
from django.http import HttpRequest
from django.utils.translation import gettext as _

from images.admin import formatting
from images.http import public_url
from images.models import (
    Family,
    FamilyScope,
    Image,
    PreparedVersion,
    Publication,
    Status,
)
from images.models.publication import PUBLIC, tree_of
from images.publishing import paths, storage

# Attempts, about two seconds apart: the preparation has not just begun.
FAILED: Final = 5


def shown(request: HttpRequest, family: Family) -> dict[str, Any] | None:
    """Return the publication of a family for its page: URL, current version, and what is missing.

    ``obstacles`` are sentences on what the owner has to change, ``waiting`` the versions that the
    service has yet to publish. None if the family is not to be published. At most three queries.
    """
    if not family.publish:
        return None
    tree = tree_of(family)
    row = Publication.objects.filter(family=family.pk, tree=tree).defer("parts").first()
    snapshot = bytes(row.snapshot) if row else b""
    published = storage.load(snapshot) if snapshot else None
    current = published.current if published else None
    return {
        "url": f"{public_url.base(request)}{paths.root(tree)}/images/{family.name}/",
        "is_published": published is not None,
        "number": len(published.versions) if published else 0,
        "current": current.label if current else "",
        "obstacles": list(_obstacles(family, tree)),
        "waiting": [_waiting(version) for version in _unprepared(family)],
        "is_unsigned": row is not None and bool(row.unsigned),
    }


def _obstacles(family: Family, tree: str) -> Iterator[str]:
    """Yield the reasons why the current version of a family is not published, as sentences.

    Only reasons that the owner or the operator has to remove are included.
    """
    if settings.IMAGECATALOG_PUBLISH == "off":
        yield _("The service publishes nothing: IMAGECATALOG_PUBLISH is off.")
    elif settings.IMAGECATALOG_PUBLISH == "public" and tree != PUBLIC:
        yield _(
            "Families of the scope “project” are published only if IMAGECATALOG_PUBLISH is "
            "signed-in."
        )
    current = Image.objects.filter(family_version=family.current_id)
    image = current.only("status", "visibility").first() if family.current_id else None
    if image is None:
        yield _("Promote a version: only versions that were current are published.")
        return
    if image.status != Status.ACTIVE:
        yield _(
            "The image of the current version is %(status)s. Only active images are published."
        ) % {"status": formatting.status(image.status)}
    if family.scope == FamilyScope.PUBLIC and image.visibility != "public":
        yield _(
            "The image of the current version has the visibility “%(visibility)s”. Make it public."
        ) % {"visibility": image.visibility}


def _unprepared(family: Family) -> list[PreparedVersion]:
    rows = PreparedVersion.objects.filter(version__family=family, ready_at=None)
    return list(rows.select_related("version").order_by("-version__build_date", "-pk"))


def _waiting(row: PreparedVersion) -> dict[str, Any]:
    return {
        "label": row.version.label,
        "reason": row.error,
        "has_failed": row.attempts >= FAILED,
        "next": formatting.ago(row.next_at),
    }
