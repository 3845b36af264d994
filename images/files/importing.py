"""Import of a file or URL as a new image: it determines the attributes, and uploads the data."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from images import (
    attributes,
    custom_properties,
    errors,
    lifecycle,
    property_schema,
)
from images.access import Caller
from images.attributes import Changes
from images.files import guesses, sidecar
from images.files.sidecar import Sidecar
from images.files.sources import Opened, Source
from images.formats import detection
from images.models import READABLE_STATUSES, Image, Status
from images.stores.digests import Digests, digesting

log = logging.getLogger(__name__)

Watched = Callable[[Iterator[bytes], int | None], Iterator[bytes]]


@dataclass(frozen=True)
class ImportOptions:
    """The options that the operator gives for an import. They override the values in a sidecar."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)  # of the bytes
    store_id: str | None = None
    default_owner: str | None = None  # used if neither operator nor sidecar names one
    sidecars: bool = True  # whether to read them
    keep_ids: bool = False  # whether to use the ids in the sidecars
    skip_existing: bool = False


@dataclass(frozen=True)
class Plan:
    """The image that an import will create: its attributes, expected size and expected digests.

    ``notes`` are remarks for the operator.
    """

    fields: dict[str, Any]
    properties: dict[str, str]
    tags: list[str]
    size: int | None  # bytes
    digests: Mapping[str, str]
    deactivated: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """The result of an import.

    ``image_id`` is the id of the new image. It is None in a dry run, and if no image was created
    because another image, with the id ``existing``, has the same data.
    """

    plan: Plan
    image_id: str | None = None
    existing: str | None = None


def import_source(
    source: Source,
    options: ImportOptions,
    actor: Caller,
    *,
    watched: Watched = lambda blocks, size: blocks,
    dry_run: bool = False,
) -> Outcome:
    """Import a file or URL as a new image; in a dry run, only return what would be imported.

    ``watched`` gets the blocks and their total size in bytes and returns the blocks, for example to
    show progress. If the import fails, the image is deleted; but an image whose id the operator has
    chosen stays ``queued``, because ids are never reused: the next import with that id uses the
    image. Raises ImageError if the source cannot be read or its data is refused.
    """
    with source.open() as opened:
        opened, head = _peeked(opened)
        plan = _plan(source, opened.size, head, options)
        existing = _existing(source, plan) if options.skip_existing else None
        if existing or dry_run:
            return Outcome(plan, existing=existing)
        image_id = _reserve(plan, actor)
        try:
            _upload(image_id, plan, opened, options.store_id, actor, watched)
        except BaseException as error:
            _discard(image_id, plan, actor, error)
            raise
    return Outcome(plan, image_id)


def _peeked(opened: Opened) -> tuple[Opened, bytes]:
    """Read the first MiB of an opened source; return the source and the first MiB.

    The returned source still has all blocks.
    """
    blocks, length = [], 0
    for block in opened.blocks:
        blocks.append(block)
        length += len(block)
        if length >= detection.HEAD:
            break
    head = b"".join(blocks)[: detection.HEAD]
    return Opened(opened.size, chain(blocks, opened.blocks)), head


def _plan(
    source: Source, size: int | None, head: bytes, options: ImportOptions
) -> Plan:
    described = None
    if options.sidecars and source.sidecar is not None:
        described = sidecar.read(source.sidecar)
    if not head and not (described and described.size == 0):
        raise errors.Invalid("The source is empty.")
    if described and None not in (size, described.size) and size != described.size:
        raise errors.Invalid(
            f"The source has {size} bytes, but its sidecar says {described.size}. Repair the "
            "sidecar, or ignore it with --no-metadata."
        )
    fields, notes = _fields(source, head, options, described)
    properties = custom_properties.clean_properties(
        (described.properties if described else {}) | dict(options.properties)
    )
    property_schema.check_new(properties)
    return Plan(
        fields=attributes.clean_fields(fields),
        properties=properties,
        tags=attributes.clean_tags(
            [*(described.tags if described else ()), *options.tags]
        ),
        size=size,
        digests=_strongest(described) | dict(options.digests),
        deactivated=described is not None and described.status == Status.DEACTIVATED,
        notes=tuple(notes),
    )


def _fields(
    source: Source, head: bytes, options: ImportOptions, described: Sidecar | None
) -> tuple[dict[str, Any], list[str]]:
    notes = []
    fields: dict[str, Any] = {"owner": options.default_owner}
    if described:
        fields = dict(described.fields)
    if described and options.keep_ids:
        fields["id"] = described.image_id
    fields.update(options.fields)
    if not described and fields["owner"] is None:
        raise errors.Invalid("The image has no owner. Give --project or --owner.")
    if fields.get("name") is None and not described:
        fields["name"], changed = _name(source)
        notes += (
            ["characters that are not allowed in names were replaced"]
            if changed
            else []
        )
    if fields.get("disk_format") is None:
        fields["disk_format"] = guesses.disk_format_of(source.file_name, head)
    if fields["disk_format"] is None:
        fields["disk_format"] = "raw"
        notes.append("its format is not recognized, raw is assumed")
    if fields.get("container_format") is None:
        fields["container_format"] = "bare"
    return fields, notes


def _name(source: Source) -> tuple[str, bool]:
    """Return a name for the image: the source's file name without the suffix of a disk format.

    The second value says whether characters were replaced or removed. Raises Invalid if no name is
    left.
    """
    name = guesses.name_of(source.file_name)
    if not name:
        raise errors.Invalid(
            "No name can be derived from the source. Give one with --name."
        )
    return name, name != guesses.stem_of(source.file_name)


def _strongest(described: Sidecar | None) -> dict[str, str]:
    """Return the strongest digest in a sidecar as {algorithm: value}; empty if there is none.

    Weaker digests are left out, because each digest costs processor time to verify.
    """
    if described is None:
        return {}
    strongest = [name for name in sidecar.ALGORITHMS if name in described.digests][:1]
    return {name: described.digests[name] for name in strongest}


def _existing(source: Source, plan: Plan) -> str | None:
    """Return the id of an image that has the planned owner and name, and the data of the source.

    Returns None if there is no such image. The source is read only if an image has the same owner,
    name and, if it is known, size.
    """
    images = Image.objects.existing().filter(
        status__in=READABLE_STATUSES,
        owner=plan.fields.get("owner"),
        name=plan.fields["name"],
        os_hash_algo__in=sidecar.ALGORITHMS,
    )
    if plan.size is not None:
        images = images.filter(size=plan.size)
    columns = "pk", "os_hash_algo", "os_hash_value"
    known = list(images.order_by("-created_at").values_list(*columns)[:100])
    if not known:
        return None
    with Digests(*{str(algorithm) for _, algorithm, _ in known}) as digests:
        with source.open() as opened:
            for _ in digesting(opened.blocks, digests):
                pass
        values = digests.hexdigests()
    same = (key for key, algorithm, value in known if values[str(algorithm)] == value)
    return next(same, None)


def _reserve(plan: Plan, actor: Caller) -> str:
    try:
        image = lifecycle.create(plan.fields, plan.properties, plan.tags, actor)
    except errors.Conflict:
        begun = Image.objects.existing().filter(
            pk=plan.fields["id"],
            owner=plan.fields.get("owner"),
            status=Status.QUEUED,
            pinned=False,
        )
        image_or_none = begun.first()
        if image_or_none is None:
            raise
        image = image_or_none
        _describe_again(image, plan, actor)
    return str(image.pk)


def _describe_again(image: Image, plan: Plan, actor: Caller) -> None:
    fields = {name: value for name, value in plan.fields.items() if name != "id"}
    ours = {name for name in image.properties if not attributes.is_managed(name)}
    changes = Changes(
        fields | {"tags": plan.tags}, plan.properties, ours - plan.properties.keys()
    )
    lifecycle.update(image.pk, changes, actor)


def _upload(
    image_id: str,
    plan: Plan,
    opened: Opened,
    store_id: str | None,
    actor: Caller,
    watched: Watched,
) -> None:
    blocks = watched(opened.blocks, opened.size)
    with Digests(*plan.digests) as digests:
        lifecycle.upload(
            image_id,
            _verified(blocks, digests, plan.digests),
            actor,
            expected_size=opened.size,
            store_id=store_id,
        )
    if plan.deactivated:
        lifecycle.deactivate(
            image_id, actor, "the image was deactivated when it was exported"
        )


def _verified(
    blocks: Iterable[bytes], digests: Digests, expected: Mapping[str, str]
) -> Iterator[bytes]:
    """Yield the blocks; after the last block, raise Invalid if a digest is not the expected one.

    The error makes the upload fail, so that the store does not complete the object.
    """
    yield from digesting(blocks, digests)
    for algorithm, value in digests.hexdigests().items():
        if value != expected[algorithm]:
            raise errors.Invalid(
                f"The source has other data than expected: its {algorithm} digest is {value}, "
                f"not {expected[algorithm]}."
            )


def _discard(image_id: str, plan: Plan, actor: Caller, error: BaseException) -> None:
    if "id" in plan.fields:
        return
    reason = f"import failed: {error or type(error).__name__}"
    try:
        if plan.fields.get("protected"):
            lifecycle.update(image_id, Changes({"protected": False}), actor)
        lifecycle.delete(image_id, actor, reason)
    except Exception:
        # The caller reports the first error; the operator can delete the image.
        log.exception("image %s could not be deleted after its import failed", image_id)
