"""Conversion of image metadata in headers to attributes of an image, by the rules of API v1."""

from __future__ import annotations

from typing import Any, Final

from images import access, attributes, errors
from images.access import Caller
from images.api.v1.headers import Meta
from images.api.v1.sources import Sources
from images.attributes import Changes
from images.models.rows import Row

PLAIN: Final = ("name", "min_disk", "min_ram", "protected")
FORMATS: Final = {
    "disk_format": attributes.DISK_FORMATS,
    "container_format": attributes.CONTAINER_FORMATS,
}
AMAZON: Final = frozenset({"ami", "ari", "aki"})
IMMUTABLE: Final = ("id", "status")


def new(meta: Meta, caller: Caller, needs_formats: bool) -> dict[str, Any]:
    """Return the attributes of a new image, from the metadata in a request's headers.

    The owner is the caller's project, unless an admin names another one. Fields that only the
    service sets, such as the status, are ignored. With ``needs_formats`` the disk format and the
    container format are required. Raises Invalid for malformed values.
    """
    fields = {name: meta.get(name) for name in ("id", *PLAIN)}
    fields |= _formats(meta, {}, needs_formats)
    fields = {name: value for name, value in fields.items() if value is not None}
    fields["owner"] = (caller.is_admin and meta.get("owner")) or caller.project
    fields["visibility"] = "public" if meta.get("is_public") else "shared"
    return attributes.clean_fields(fields)


def changes(meta: Meta, row: Row, caller: Caller, source: Sources) -> Changes:
    """Return the changes to an image that the metadata in a request's headers asks for.

    Writes nothing. Properties that the request leaves out are to be removed, unless the request has
    data in its body or the header ``x-glance-registry-purge-props: false``. Raises Invalid for
    malformed values, and Forbidden if the headers name another id or status than the image has.
    """
    _check_immutable(meta, row)
    wanted = {name: meta.get(name) for name in PLAIN}
    wanted |= _formats(meta, row, any(source))
    wanted["visibility"] = _visibility(meta, row)
    wanted["owner"] = _owner(meta, row, caller)
    fields = {
        name: value
        for name, value in wanted.items()
        if value is not None and value != row[name]
    }
    if "name" in meta.fields:
        fields["name"] = meta.get("name")  # None removes the name
    properties, removed = _properties(meta, row, caller)
    if source.has_body or not meta.purge:
        removed = set()
    # With a source, size and checksum describe the new data, not the image.
    if any(source):
        return Changes(fields, properties, removed)
    checksum = meta.get("checksum")
    return Changes(
        fields, properties, removed, meta.get("size"), checksum and checksum.lower()
    )


def _check_immutable(meta: Meta, row: Row) -> None:
    for name in IMMUTABLE:
        if meta.get(name) not in (None, row[name]):
            raise errors.Forbidden(f"Forbidden to modify '{name}' of image.")


def _formats(
    meta: Meta, row: Row | dict[str, Any], needed: bool
) -> dict[str, str | None]:
    formats = {name: meta.fields.get(name, row.get(name)) for name in FORMATS}
    if AMAZON & set(formats.values()):
        named = set(filter(None, formats.values()))
        if len(named) > 1:
            raise errors.Invalid(
                "Invalid mix of disk and container formats. When setting a disk or "
                "container format to one of 'aki', 'ari', or 'ami', the container and "
                "disk formats must match."
            )
        formats = dict.fromkeys(FORMATS, named.pop())
    for name, choices in FORMATS.items():
        if (needed or name in meta.fields) and formats[name] not in choices:
            raise errors.Invalid(
                f"Invalid {name.replace('_', ' ')} '{formats[name]}' for image."
            )
    return formats


def _owner(meta: Meta, row: Row, caller: Caller) -> str | None:
    """Return the new owner that the request's headers name, or None if the owner is not to change.

    A new owner is ignored if the caller has no permission to change the owner; but Forbidden is
    raised for an admin whose application credential does not allow this.
    """
    wanted: str | None = meta.get("owner")
    if wanted is None or wanted == row["owner"]:
        return None
    if caller.is_admin:
        access.check(caller, "change_owner", row)
    elif not access.may(caller, "change_owner", row):
        return None
    return wanted


def _visibility(meta: Meta, row: Row) -> str | None:
    """Return the visibility that the request's headers ask for, or None if it is not to change.

    API v1 only knows whether an image is public: an image that is not public, and is not made
    public, keeps its visibility, such as ``community``.
    """
    wanted = meta.get("is_public")
    if wanted is None or wanted == (row["visibility"] == "public"):
        return None
    return "public" if wanted else "shared"


def _properties(
    meta: Meta, row: Row, caller: Caller
) -> tuple[dict[str, str], set[str]]:
    """Return the properties that a request sets, and the names of the properties to remove.

    All properties of the image that the request leaves out are to be removed, except those that the
    caller cannot read. Headers lose the case and the dashes of names, so the names in the request
    are matched to the names of the image's properties. A property that the caller cannot update can
    be sent with its present value, because clients send all properties.
    """
    before = access.readable(caller, row["properties"])
    names = {_as_sent(name): name for name in before}
    names |= {name: name for name in before}
    sent = {names.get(name, name): value for name, value in meta.properties.items()}
    not_sent = {
        name
        for name in before
        if _as_sent(name) not in meta.properties and name not in sent
    }
    changed = {
        name: value
        for name, value in sent.items()
        if before.get(name) != value or access.property_allowed(caller, "update", name)
    }
    return changed, {name for name in not_sent if not attributes.is_managed(name)}


def _as_sent(name: str) -> str:
    return name.lower().replace("-", "_")
