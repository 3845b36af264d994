"""The facts about an image: the most important ones for the head of its pages, and further details."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

from django.urls import reverse
from django.utils.html import format_html, format_html_join
from django.utils.http import urlencode
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from images.admin import formatting
from images.lifecycle.family_members import version_of
from images.models import Image, ImageLocation, LocationStatus, Member, Status

Fact = tuple[str, Any]  # label and value

# What Image.verified_by means.
VERIFIED_BY: Final = {
    "repr-digest": gettext_lazy("a digest stated with the upload"),
    "import": gettext_lazy("a digest stated for the import"),
    "owner": gettext_lazy("a digest in the image's properties"),
    "signature": gettext_lazy("the image's signature"),
    "checksum": gettext_lazy("an MD5 stated with the upload"),
}


def head(
    image: Image,
    locations: Iterable[ImageLocation],
    members: Sequence[Member],
    names: Mapping[str, str],
) -> list[Fact]:
    """Return the facts for the head of an image's pages; unknown values are dashes. One query.

    ``names`` are the names of projects, by id.
    """
    # An image in the trash still has its data.
    kept = (LocationStatus.PENDING_DELETE,) if image.deleted_at else ()
    stores = [
        it.store for it in locations if it.status in (LocationStatus.ACTIVE, *kept)
    ]
    facts = [
        (_("Size"), formatting.size(image.size)),
        (_("Project"), _project(image, names)),
        (_("Format"), formatting.formats(image)),
        (_("Visibility"), _visibility(image, members)),
        (_("Tags"), _tags(image.tags)),
        (_("Stores"), ", ".join(dict.fromkeys(stores))),
        (_("System"), formatting.system(image.properties)),
        (_("Minimum"), _minimum(image)),
        *_family(image),
        (_("Created"), formatting.ago(image.created_at)),
        (_("Updated"), formatting.ago(image.updated_at)),
    ]
    return [(label, value or "–") for label, value in facts]


def _list(**filters: str) -> str:
    return f"{reverse('admin:images_image_changelist')}?{urlencode(filters)}"


def _project(image: Image, names: Mapping[str, str]) -> Any:
    if not image.owner:
        return ""
    return format_html(
        '<a href="{}" title="{}">{}</a>',
        _list(owner=image.owner),
        image.owner,
        names.get(image.owner, image.owner),
    )


def _visibility(image: Image, members: Sequence[Member]) -> str:
    if image.visibility != "shared":
        return image.visibility
    if not members:
        return _("shared, with no project yet")
    count = len(members)
    with_projects = ngettext(
        "shared with %(count)d project", "shared with %(count)d projects", count
    )
    return with_projects % {"count": count}


def _tags(tags: Iterable[str]) -> Any:
    links = ((_list(tag=tag), tag) for tag in tags)
    return format_html_join(" ", '<a class="mark" href="{}"><bdi>{}</bdi></a>', links)


def _minimum(image: Image) -> str:
    parts = []
    if image.min_disk:
        parts.append(_("%(size)s GiB disk") % {"size": image.min_disk})
    if image.min_ram:
        parts.append(_("%(size)s MiB memory") % {"size": image.min_ram})
    return ", ".join(parts)


def _family(image: Image) -> list[Fact]:
    """Return the fact about an image's family: a link to it, and which version the image is."""
    version = version_of(image)
    if version is None:
        return []
    link = format_html(
        '<a href="{}">{}</a> {}',
        reverse("admin:images_family_change", args=[version.family_id]),
        version.family.name,
        version.label,
    )
    is_current = version.pk == version.family.current_id
    mark = format_html(' <span class="mark">{}</span>', _("current"))
    return [(_("Family"), link + mark if is_current else link)]


def details(image: Image, names: Mapping[str, str]) -> list[Fact]:
    """Return all further facts about an image: exact sizes, digests, ids and times. No query.

    ``names`` are the names of projects, by id.
    """
    owner = image.owner or ""
    name = names.get(owner, "")
    facts = [
        (_("Exact size"), f"{image.size:,} B" if image.size is not None else ""),
        (_("Virtual size"), formatting.size(image.virtual_size)),
        ("MD5", image.checksum),
        (image.os_hash_algo or _("Digest"), image.os_hash_value),
        *_further_digests(image),
        (_("Project id"), f"{owner} ({name})" if name else owner),
    ]
    if image.deleted_at:
        in_trash = image.status == Status.PENDING_DELETE
        label = _("Moved to the trash") if in_trash else _("Deleted")
        facts.append((label, formatting.ago(image.deleted_at)))
    return [(label, value or "–") for label, value in facts]


def _further_digests(image: Image) -> list[Fact]:
    """Return (label, digest) pairs: the digests of an image that the other details lack.

    They include the digests that the data had before the plugins of an import changed it. If the
    data was verified, the last pair says with what it was compared, and when.
    """
    columns = ("md5", image.os_hash_algo)
    further: list[Fact] = sorted(
        it for it in image.digests.items() if it[0] not in columns
    )
    for algorithm, digest in sorted(image.source_digests.items()):
        label = _("%(algorithm)s before the import changed it")
        further.append((label % {"algorithm": algorithm}, digest))
    if not image.verified_by:
        return further
    # A newer release can have stored a word that is unknown to this one.
    statement = VERIFIED_BY.get(image.verified_by, image.verified_by)
    ago = formatting.ago(image.verified_at)
    return [*further, (_("Verified by"), format_html("{}, {}", statement, ago))]
