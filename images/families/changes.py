"""Functions that lock the images of a family, and change them by ``images.lifecycle``."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, NamedTuple

from django.db import transaction
from django.utils import timezone

from images import access, errors, events, lifecycle
from images.access import Caller
from images.attributes import FAMILY_PROPERTIES, Changes
from images.models import Family, FamilyEvent, FamilyVersion, Image, Status, rows
from images.models.publication import note_change

PURPOSE = "os_purpose"  # of an image, by the standard of the Sovereign Cloud Stack
CHANGED_TOO_OFTEN = "Your project changes this family too often."
CREATED_TOO_OFTEN = "Your project creates and deletes families too often."


class ImageChange(NamedTuple):
    """The changes of one image: name of an attribute or property -> (before, after)."""

    image: str  # id
    changes: dict[str, tuple[Any, Any]]


class Outcome(NamedTuple):
    """The result of an operation on a family: the family, the version, and the changed images."""

    family: Family
    version: FamilyVersion | None
    images: list[ImageChange]


@contextmanager
def locked(
    caller: Caller, ref: str, *actions: str, expected: Collection[int] | None
) -> Iterator[Family]:
    """A context manager that locks a family in a transaction, and yields the family.

    ``ref`` is the id or name of the family, ``actions`` are the rules that must allow the caller to
    change it. If ``expected`` is not None, ``family.version`` (its ETag) must be in it. Raises
    NotFound, Forbidden, Conflict if several families have the name, and Changed if the family has
    another version.
    """
    with transaction.atomic():
        family = access.get_family(caller, ref, *actions, lock=True)
        if expected is not None and family.version not in expected:
            raise errors.Changed(
                f"Family {family.name} has version {family.version} by now. Read the family "
                "again, then repeat the request."
            )
        yield family


def save(family: Family, *columns: str) -> None:
    """Save the given columns of a locked family, and add 1 to its ``version``.

    If the family is published, also notes that its files and indexes must be renewed.
    """
    family.version += 1
    family.updated_at = timezone.now()
    family.save(update_fields=[*columns, "version", "updated_at"])
    if family.publish or "publish" in columns:
        note_change(family, moved="scope" in columns)


def record(
    family: Family,
    verb: str,
    caller: Caller,
    reason: str = "",
    *,
    before: FamilyVersion | None = None,
    after: FamilyVersion | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write an event into the history of a family, in the transaction of the change.

    ``verb`` names the change; ``before`` and ``after`` are the versions of the family that it
    concerns, such as the former and the new current version. Raises TooManyRequests if the caller's
    project changes the family, or creates and deletes families of a project, too often; commands
    have no such limit.
    """
    if verb in ("create", "delete"):
        events.count_change(f"families of {family.owner}", caller, CREATED_TOO_OFTEN)
    else:
        events.count_change(f"family {family.pk}", caller, CHANGED_TOO_OFTEN)
    FamilyEvent.objects.create(
        family=family.pk,
        name=family.name,
        verb=verb,
        from_version=before.label if before else "",
        to_version=after.label if after else "",
        actor=caller.user,
        project=caller.project or "",
        interface=caller.interface,
        request_id=caller.request_id,
        reason=reason,
        detail=dict(detail or {}),
    )


@contextmanager
def dry_run(enabled: bool = True) -> Iterator[None]:
    """A context manager that undoes all changes of the database at its end, if ``enabled``.

    Operations in the context make all their checks and return their usual results, which show what
    they would change.
    """
    with transaction.atomic():
        yield
        if enabled:
            transaction.set_rollback(True)


def get_version(
    family: Family, label: str, *, without_image: bool = False
) -> FamilyVersion:
    """Return a family's version with this label, and its image. Raises NotFound if there is none.

    The previous release leaves versions behind whose images' rows are gone: they are found only
    with ``without_image``.
    """
    versions = family.versions.filter(label=label)
    if not without_image:
        versions = versions.select_related("image")  # an inner join
    version = versions.first()
    if version is None:
        raise errors.NotFound(f"Family {family.name} has no version {label[:64]}.")
    return version


def lock_images(
    versions: Iterable[FamilyVersion | None], caller: Caller
) -> dict[str, Image]:
    """Lock the images of versions, in the order of their ids, and return them by id.

    Images that are deleted permanently are left out. Raises Forbidden for an image of a project
    in which the caller has no permission to change images.
    """
    ids = [version.image_id for version in versions if version]
    wanted = Image.objects.filter(pk__in=ids).exclude(status=Status.DELETED)
    images = {it.pk: it for it in wanted.select_for_update().order_by("pk")}
    for image in images.values():
        access.check_owner(caller, image.owner)
    return images


def apply_version(
    family: Family,
    version: FamilyVersion,
    image: Image,
    caller: Caller,
    reason: str,
    more: Changes | None = None,
) -> list[ImageChange]:
    """Give a locked image the name, ``os_hidden`` and properties of its version in the family.

    ``more`` are further changes. Returns the change, or an empty list if the image already has all
    these values. Raises the errors of ``lifecycle.change``, and Forbidden for a visibility that the
    caller cannot set.
    """
    fields = {"name": family.name_of(version), "os_hidden": family.hides(version)}
    properties = {"image_family": family.name, "image_version": version.label}
    more = more or Changes()
    changes = Changes({**more.fields, **fields}, {**more.properties, **properties})
    return _change(family, image, changes, caller, reason)


def release(
    family: Family, image: Image, caller: Caller, reason: str
) -> list[ImageChange]:
    """Remove the properties of a family from a locked image; return the change, if there is any.

    The image keeps its name and ``os_hidden``.
    """
    present = FAMILY_PROPERTIES & image.properties.keys()
    changes = Changes(removed=set(present))
    return _change(family, image, changes, caller, reason)


def changes_of_current(family: Family, image: Image) -> Changes:
    """Return the changes that only the current image of a family gets: its visibility and purpose.

    The visibility is that of the family, if it has one. If the family's template has ``scs``, the
    property ``os_purpose`` changes from ``oldgeneric`` to ``generic``.
    """
    fields = {"visibility": family.visibility} if family.visibility else {}
    return Changes(fields, _purpose(family, image, "oldgeneric", "generic"))


def changes_of_old(family: Family, image: Image) -> Changes:
    """Return the changes of an image that is no longer the current one of its family.

    If the family's template has ``scs``, the property ``os_purpose`` changes from ``generic`` to
    ``oldgeneric``; otherwise nothing changes.
    """
    return Changes(properties=_purpose(family, image, "generic", "oldgeneric"))


def _purpose(family: Family, image: Image, before: str, after: str) -> dict[str, str]:
    is_changed = family.template.get("scs") and image.properties.get(PURPOSE) == before
    return {PURPOSE: after} if is_changed else {}


def merged(changes: Iterable[ImageChange]) -> list[ImageChange]:
    """Merge the changes of each image into one change, from its first values to its last ones.

    The images keep the order of their first changes. Values that are the same in the end are left
    out, as are images without any difference.
    """
    found: dict[str, dict[str, tuple[Any, Any]]] = {}
    for image, steps in changes:
        of_image = found.setdefault(image, {})
        for name, (before, after) in steps.items():
            of_image[name] = (of_image.get(name, (before,))[0], after)
    differing = {
        image: {
            name: values for name, values in steps.items() if values[0] != values[1]
        }
        for image, steps in found.items()
    }
    return [ImageChange(image, steps) for image, steps in differing.items() if steps]


def _change(
    family: Family, image: Image, changes: Changes, caller: Caller, reason: str
) -> list[ImageChange]:
    fields = {
        name: value
        for name, value in changes.fields.items()
        if getattr(image, name) != value
    }
    properties = {
        name: value
        for name, value in changes.properties.items()
        if image.properties.get(name) != value
    }
    if "visibility" in fields:
        row = rows.row_of(image)
        access.check_visibility(caller, row, fields["visibility"])
    differences = {
        name: (getattr(image, name), value) for name, value in fields.items()
    }
    differences |= {it: (image.properties.get(it), properties[it]) for it in properties}
    differences |= {
        name: (image.properties.get(name), None) for name in changes.removed
    }
    if not differences:
        return []
    cleaned = lifecycle.clean_changes(Changes(fields, properties, changes.removed))
    lifecycle.change(image, cleaned, caller, family=family.name, reason=reason)
    return [ImageChange(image.pk, differences)]
