"""From a source to an image: what it is to be, and its bytes through the life cycle."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import chain
from typing import Any

from images import (
    attributes,
    custom_properties,
    errors,
    formats,
    lifecycle,
    property_schema,
)
from images.access import Caller
from images.attributes import Changes
from images.files import sidecar
from images.files.sidecar import Sidecar
from images.files.sources import EXTENSIONS, Opened, Source
from images.models import READABLE_STATUSES, Image, Status
from images.stores.digests import Digests, digesting

log = logging.getLogger(__name__)

# Names of files hold more than names of images: undecodable bytes, emoji, line ends.
_NOT_IN_NAMES = re.compile("[\x00-\x1f\x7f-\x9f\ud800-\udfff\U00010000-\U0010ffff]")
Watched = Callable[[Iterator[bytes], int | None], Iterator[bytes]]


@dataclass(frozen=True)
class ImportOptions:
    """What the operator says; it goes before what the sidecar says."""

    fields: Mapping[str, Any] = field(default_factory=dict)
    properties: Mapping[str, str] = field(default_factory=dict)
    tags: tuple[str, ...] = ()
    digests: Mapping[str, str] = field(default_factory=dict)  # of the bytes
    store_id: str | None = None
    default_owner: str | None = None  # where neither operator nor sidecar names one
    sidecars: bool = True  # read them
    keep_ids: bool = False  # those of the sidecars
    skip_existing: bool = False


@dataclass(frozen=True)
class Plan:
    """The image that is to be."""

    fields: dict[str, Any]
    properties: dict[str, str]
    tags: list[str]
    size: int | None  # bytes
    digests: Mapping[str, str]
    deactivated: bool
    notes: tuple[str, ...]


@dataclass(frozen=True)
class Outcome:
    """``image_id`` is the new image's; of a dry run None; ``existing`` the one that is there."""

    plan: Plan
    image_id: str | None = None
    existing: str | None = None


def bring_in(
    source: Source,
    options: ImportOptions,
    actor: Caller,
    *,
    watched: Watched = lambda blocks, size: blocks,
    dry_run: bool = False,
) -> Outcome:
    """Import one source; in a dry run, look at it only.

    When it fails, no image is left: what it had begun is deleted. An image with an id of the
    operator's choice stays ``queued`` instead, as a deleted id could not be taken again; the
    next import of that id goes on with it. Raises ImageError.
    """
    with source.open() as opened:
        opened, head = _peeked(opened)
        plan = _plan(source, opened.size, head, options)
        existing = _same(source, plan) if options.skip_existing else None
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
    """With the first MiB, which is not lost. The web may send it in chunks."""
    first, length = [], 0
    for block in opened.blocks:
        first.append(block)
        length += len(block)
        if length >= formats.HEAD:
            break
    head = b"".join(first)[: formats.HEAD]
    return Opened(opened.size, chain(first, opened.blocks)), head


def _plan(
    source: Source, size: int | None, head: bytes, options: ImportOptions
) -> Plan:
    found = None
    if options.sidecars and source.sidecar is not None:
        found = sidecar.read(source.sidecar)
    if not head and not (found and found.size == 0):
        raise errors.Invalid("It is empty.")
    if found and None not in (size, found.size) and size != found.size:
        raise errors.Invalid(
            f"It has {size} bytes, and by its sidecar it should have {found.size}."
        )
    fields, notes = _fields(source, head, options, found)
    properties = custom_properties.clean_properties(
        (found.properties if found else {}) | dict(options.properties)
    )
    property_schema.check_new(properties)
    return Plan(
        fields=attributes.clean_fields(fields),
        properties=properties,
        tags=attributes.clean_tags([*(found.tags if found else ()), *options.tags]),
        size=size,
        digests=_strongest(found) | dict(options.digests),
        deactivated=found is not None and found.status == Status.DEACTIVATED,
        notes=tuple(notes),
    )


def _fields(
    source: Source, head: bytes, options: ImportOptions, found: Sidecar | None
) -> tuple[dict[str, Any], list[str]]:
    notes = []
    said: dict[str, Any] = {"owner": options.default_owner}
    if found:
        said = dict(found.fields)
    if found and options.keep_ids:
        said["id"] = found.image_id
    said.update(options.fields)
    if not found and said["owner"] is None:
        raise errors.Invalid(
            "Nobody is named as the image's owner. Give --project or --owner."
        )
    if said.get("name") is None and not found:
        said["name"], changed = _name(source)
        notes += ["characters that no name may have were replaced"] if changed else []
    if said.get("disk_format") is None:
        said["disk_format"] = _disk_format(source, head)
    if said["disk_format"] is None:
        said["disk_format"] = "raw"
        notes.append("nothing tells its format, it is taken for raw")
    if said.get("container_format") is None:
        said["container_format"] = "bare"
    return said, notes


def _name(source: Source) -> tuple[str, bool]:
    """From the file's name, without the ending that says the format."""
    stem = source.file_name
    if source.extension in EXTENSIONS:
        stem = stem.rpartition(".")[0] or stem
    name = _NOT_IN_NAMES.sub("_", stem).strip()[: attributes.MAX_LENGTH]
    if not name:
        raise errors.Invalid("Its address gives it no name. Give one with --name.")
    return name, name != stem


def _disk_format(source: Source, head: bytes) -> str | None:
    known = formats.disk_format_of(head)
    if known in attributes.DISK_FORMATS:
        return known
    return EXTENSIONS.get(source.extension)


def _strongest(found: Sidecar | None) -> dict[str, str]:
    """One digest is enough; each costs a processor."""
    if found is None:
        return {}
    strongest = [name for name in sidecar.ALGORITHMS if name in found.digests][:1]
    return {name: found.digests[name] for name in strongest}


def _same(source: Source, plan: Plan) -> str | None:
    """The id of an image with this owner, this name and these very bytes.

    The source is read, but only where an image might be the same one.
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
    ours = {name for name in image.properties if not attributes.is_internal(name)}
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
        lifecycle.deactivate(image_id, actor, "it was when it was exported")


def _verified(
    blocks: Iterable[bytes], digests: Digests, expected: Mapping[str, str]
) -> Iterator[bytes]:
    """The same blocks. Raises Invalid at their end, before a store has completed them."""
    yield from digesting(blocks, digests)
    for algorithm, value in digests.hexdigests().items():
        if value != expected[algorithm]:
            raise errors.Invalid(
                f"It is not the data it should be: its {algorithm} digest is {value}, "
                f"expected was {expected[algorithm]}."
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
        # The first error is the one to be told; the image can be deleted by hand.
        log.exception("image %s could not be deleted after its import failed", image_id)
